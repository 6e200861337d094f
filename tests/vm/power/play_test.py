#!/usr/bin/env python3
"""What tests/vm/power/play says when the guest fails, stands still, or cannot be had."""

import subprocess
import sys
import tempfile
import unittest

import power
from power import harness

SCRIPT = harness.HERE.parent / "conformance/spapr/01-select.vc"


class FailureTest(unittest.TestCase):
    def test_a_kernel_that_panics_is_reported(self):
        result = power.run_play("--append", "rdinit=/nowhere", SCRIPT)
        self.assertEqual((result.stdout, result.returncode), ("", 125))
        self.assertIn("the guest's kernel failed: Kernel panic - ", result.stderr)

    def test_a_guest_that_stands_still_is_ended(self):
        result = power.run_play("--stall", "0.01", SCRIPT)
        self.assertEqual((result.stdout, result.returncode), ("", 124))
        self.assertIn("nothing came from the guest for 0.01 s", result.stderr)

    def test_a_script_that_fails_says_so_among_its_lines(self):
        with tempfile.NamedTemporaryFile(suffix=".vc") as script:
            script.write(b"nonsense\n")
            script.flush()
            result = power.run_play(script.name)
        lines = result.stdout.splitlines()
        self.assertEqual(lines[-1:], ["vconf ended with status 2"], result.stderr)

    def test_a_machine_without_qemu_is_told_apart(self):
        command = [sys.executable, power.HERE / "play", SCRIPT]
        result = subprocess.run(
            command, env={"PATH": "/nowhere"}, stderr=subprocess.PIPE, text=True, check=False
        )
        self.assertEqual(result.returncode, harness.LACKING)
        self.assertIn("qemu-system-ppc64 is missing", result.stderr)


if __name__ == "__main__":
    harness.main()
