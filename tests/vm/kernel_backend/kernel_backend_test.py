#!/usr/bin/env python3
"""The kernel backend on a real /dev/iommu: runs in_guest in the guest, with two devices."""

import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # pylint: disable=wrong-import-position

IN_GUEST = pathlib.Path(sys.argv[1]).resolve()
SCRIPT = """
  vm_bind $VM_DEVICES
  for device in $VM_DEVICES; do
    node=$(vm_cdev $device)
    set -- "$@" ${node##*vfio}
  done
  exec %s "$@"
"""


class KernelBackendTest(unittest.TestCase):
    def test_in_the_guest(self):
        devices = ("--e1000e", "--nvme", "64M")
        result = harness.shell("iommufd", SCRIPT % IN_GUEST, options=devices)
        print(result.stdout)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"\[  PASSED  \] [1-9]\d* tests")
        for skipped in re.findall(r"^.*: Skipped\n(.*)$", result.stdout, re.MULTILINE):
            print(f"left out: {skipped}")


if __name__ == "__main__":
    harness.main()
