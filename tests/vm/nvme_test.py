#!/usr/bin/env python3
"""qemu-img and qemu-io on an NVMe controller: images copied in and out, patterns written."""

import hashlib
import os
import pathlib
import tempfile
import unittest

import harness

SIZE = 256 << 20
# What nvme_job.sh writes: where, how long, the byte.
PATTERNS = [(0, 1 << 20, 0xAB), (8 << 20, 4 << 10, 0xCD), (24691 * 512, 64 << 10, 0x5A)]


def checksum(data):
    return hashlib.sha256(data).hexdigest()


def with_patterns(data):
    changed = bytearray(data)
    for offset, length, byte in PATTERNS:
        changed[offset : offset + length] = bytes([byte]) * length
    return changed


class NvmeTest(unittest.TestCase):
    def check(self, kernel):
        with tempfile.TemporaryDirectory() as folder:
            source, disk = pathlib.Path(folder, "source"), pathlib.Path(folder, "disk")
            data = os.urandom(SIZE)
            source.write_bytes(data)
            disk.touch()
            os.truncate(disk, SIZE)
            output = harness.run_job(
                kernel, "nvme_job.sh", source, *harness.under(kernel), options=("--nvme", disk)
            )
            on_disk = checksum(disk.read_bytes())
        self.assertIn(f"copy: {checksum(data)}\n", output)
        self.assertNotIn("verification failed", output)
        for _, length, _ in PATTERNS:
            self.assertIn(f"read {length}/{length} bytes", output)
        self.assertEqual(on_disk, checksum(with_patterns(data)), output)

    def test_on_legacy(self):
        self.check("legacy")

    def test_on_iommufd(self):
        self.check("iommufd")


if __name__ == "__main__":
    harness.main()
