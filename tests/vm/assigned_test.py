#!/usr/bin/env python3
"""Two disks assigned to a guest within the guest: read, unplugged and plugged in again."""

import hashlib
import os
import pathlib
import re
import tempfile
import unittest

import harness

MEBIBYTE = 1 << 20
# The size of each disk.
DISKS = {"first": MEBIBYTE, "second": 2 * MEBIBYTE}


def make_disks(folder):
    """Makes an image for each disk.

    Returns the options for boot, and the checksums of each one's first MiB by disk.
    """
    options, checksums = [], {}
    for disk, size in DISKS.items():
        data = os.urandom(size)
        pathlib.Path(folder, disk).write_bytes(data)
        options += ["--nvme", f"{folder}/{disk},{disk}"]
        checksums[disk] = hashlib.sha256(data[:MEBIBYTE]).hexdigest()
    return options, checksums


class AssignedTest(unittest.TestCase):
    def check(self, kernel):
        arguments = (harness.kernel_image("iommufd"), *harness.under(kernel))
        with tempfile.TemporaryDirectory() as folder:
            options, checksums = make_disks(folder)
            # An emulated machine that emulates another takes minutes.
            options += ["--time", "1200"]
            output = harness.run_job(kernel, "assigned_job.py", *arguments, options=options)
        found = re.findall(r"checksum of (\w+): ([0-9a-f]{64}) ", output)
        # Each disk, the one that stays while the other is away, the other when it is back.
        expected = ["first", "second", "first", "second"]
        self.assertEqual(found, [(disk, checksums[disk]) for disk in expected], output)
        # What the BIOS says of a disk ends with its sectors.
        for size in DISKS.values():
            self.assertRegex(output, rf"(?m)^drive 0x\w+: .* s={size // 512}$")

    def test_on_iommufd(self):
        self.check("iommufd")


if __name__ == "__main__":
    harness.main()
