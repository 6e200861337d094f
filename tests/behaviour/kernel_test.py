#!/usr/bin/env python3
"""The behaviours on a real kernel: in_guest, bare, in the guest that has no containers."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "vm"))
import harness  # pylint: disable=wrong-import-position

SCRIPT = """
  vm_bind $VM_DEVICES
  exec %s $VM_DEVICES
"""


class KernelTest(unittest.TestCase):
    def test_in_the_guest(self):
        program = harness.built("tests/behaviour/in_guest")
        result = harness.shell("iommufd", SCRIPT % program, options=("--nvme", "64M"))
        print(result.stdout)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"\[  PASSED  \] [1-9]\d* tests")
        self.assertNotIn("SKIPPED", result.stdout)


if __name__ == "__main__":
    harness.main()
