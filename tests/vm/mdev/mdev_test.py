#!/usr/bin/env python3
"""A mediated device, of the kernel's sample driver mtty: legacy programs find and use it on the kernel
without groups, which puts it in none, as on the one with groups.

Usage: mdev_test.py LIBRARY TOOL
"""

import json
import os
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import harness  # pylint: disable=wrong-import-position

LIBRARY, TOOL = map(os.path.abspath, sys.argv[1:])
UNDER_LIBRARY = ("env", "VFIO_COMPAT_BACKEND=kernel", f"LD_PRELOAD={LIBRARY}")
CLIENT = ("python3", HERE / "client.py", "UUID")


def run(kernel, *command):
    """Runs a command in a guest with mediated devices; returns what it printed."""
    result = harness.guest(kernel, "bash", HERE / "job.sh", *command)
    if result.returncode:
        raise AssertionError(f"status {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


class MediatedDeviceTest(unittest.TestCase):
    maxDiff = None

    def test_a_program_sees_what_it_sees_with_groups(self):
        wanted = run("legacy", *CLIENT)
        self.assertIn("SET_IRQS: 0", wanted)
        self.assertEqual(run("iommufd", *UNDER_LIBRARY, *CLIENT), wanted)

    def test_doctor_names_the_devices(self):
        diagnosis = json.loads(run("iommufd", TOOL, "doctor", "--json"))
        self.assertTrue(diagnosis["fit"])
        made_up = [group for group in diagnosis["groups"] if group["made_up"]]
        self.assertEqual(len(made_up), 2)
        for group in made_up:
            self.assertTrue(group["viable"])
            self.assertEqual([device["driver"] for device in group["devices"]], ["mtty"])


if __name__ == "__main__":
    harness.main()
