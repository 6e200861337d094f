#!/usr/bin/env python3
"""What `vfio-compat doctor` says of windows is what programs get, on iommufd."""

import json
import pathlib
import re
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import harness  # pylint: disable=wrong-import-position

JOB = """
  vm_bind $VM_DEVICES
  "$1" doctor --json
  echo
  export GROUP=$(vm_group $VM_DEVICES)
  shift
  exec "$@"
"""


class DoctorTest(unittest.TestCase):
    def test_the_largest_window_is_where_doctor_has_it(self):
        tool = harness.built("tools/cli/vfio-compat")
        vconf = harness.built("tests/conformance/vconf")
        client = [*harness.under("iommufd", "--container=spapr"), vconf, HERE / "largest.vc"]
        script = f'. "$VM_LIB"\n{JOB}'
        result = harness.guest(
            "iommufd", "bash", "-c", script, "_", tool, *client, options=("--e1000e",)
        )
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        diagnosis, _, answers = result.stdout.partition("\n}\n")
        checks = {check["name"]: check for check in json.loads(diagnosis + "}")["checks"]}
        kernel = checks["SPAPR windows, kernel"]
        self.assertEqual(
            (kernel["status"], kernel["finding"]),
            ("ok", "2 GiB at 0, up to 256 GiB at 0x4000000000 beside it, in reach of 0000:00:03.0"),
        )
        self.assertIn("--tce64-start=0x4000000000", kernel["remedy"])
        self.assertIn("at 0x800000000000000", checks["SPAPR windows, soft"]["finding"])
        windows = re.findall("create c 40 0 12 (.*) 2 => (.*)", answers)
        self.assertEqual(windows, [("512G", "-1 ENOSPC"), ("256G", "0 start=0x4000000000")])


if __name__ == "__main__":
    harness.main()
