#!/usr/bin/env python3
"""Who may have a device: after a program that was killed or replaced, and beside another driver."""

import re
import unittest

import harness

VCONF = harness.built("tests/conformance/vconf")
LIVE_UPDATE = harness.built("tests/programs/live_update")


class KilledTest(unittest.TestCase):
    def check(self, kernel):
        devices = ("--nvme", "64M", "--e1000e", "--e1000e", "--hugepages", "300")
        output = harness.run_job(
            kernel, "killed_job.py", *harness.under(kernel), options=devices
        )
        self.assertRegex(output, r"(?m)^forwarded: [1-9]")

    def test_on_legacy(self):
        self.check("legacy")

    def test_on_iommufd(self):
        self.check("iommufd")


class LiveUpdateTest(unittest.TestCase):
    def check(self, kernel, charged, calls="legacy"):
        before = harness.under(kernel) if calls == "legacy" else []
        output = harness.run_job(
            *(kernel, "live_update_job.sh", calls),
            *before,
            LIVE_UPDATE,
            options=("--nvme", "64M"),
        )
        print(output)
        self.assertRegex(output, r"before: [1-9]\d+ commands, 0 failures\n")
        self.assertIn(f"after: 0 failures\ncharged: {charged} KiB\nunmapped: refused\n", output)

    def test_on_legacy(self):
        self.check("legacy", 20)

    def test_on_iommufd_which_charges_who_mapped(self):
        self.check("iommufd", 0)

    def test_on_newest_as_on_legacy(self):
        self.check("newest", 20)

    def test_on_newest_by_iommufds_calls_which_charge_the_user(self):
        self.check("newest", 0, "native")


class ViabilityTest(unittest.TestCase):
    def answers(self, kernel):
        # Functions of one device are in one group, for nothing keeps them apart.
        devices = (
            *("--device", "nvme,serial=first,addr=10.0,multifunction=on"),
            *("--device", "nvme,serial=second,addr=10.1"),
        )
        return harness.run_job(
            kernel, "viability_job.sh", *harness.under(kernel), VCONF, options=devices
        )

    def test_on_legacy(self):
        print(self.answers("legacy"))

    def test_on_iommufd_as_on_legacy(self):
        self.assertEqual(self.answers("iommufd"), self.answers("legacy"))


if __name__ == "__main__":
    harness.main()
