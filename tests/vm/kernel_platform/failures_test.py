#!/usr/bin/env python3
"""Every system call of the kernel platform fails in turn: runs failures in the guest."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # pylint: disable=wrong-import-position

FAILURES = pathlib.Path(sys.argv[1]).resolve()
# Devices that take no time to reset, which they are each time they are bound.
DEVICES = ("--device", "pci-testdev,addr=0x10", "--device", "pci-testdev,addr=0x11")
SCRIPT = """
  first=0000:00:10.0 second=0000:00:11.0
  vm_bind $first $second
  exec %s $first $(vm_group $first) $second $(vm_group $second)
"""


class FailuresTest(unittest.TestCase):
    def test_in_the_guest(self):
        result = harness.shell("iommufd", SCRIPT % FAILURES, options=DEVICES)
        print(result.stdout)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"\[  PASSED  \] [1-9]\d* tests")


if __name__ == "__main__":
    harness.main()
