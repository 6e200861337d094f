#!/usr/bin/env python3
"""A pseries guest on the software host, with its emulated NVMe controller assigned.

QEMU is a client of SPAPR TCE version 2; the guest's kernel uses the 32-bit window that QEMU makes,
or a 64-bit window that it asks for itself.
"""

import pathlib
import re
import subprocess
import tempfile
import unittest

import pseries
from pseries import harness

DEVICE = "0000:00:05.0"
# Where the 32-bit window is.
LOW = "iova=0x0-0xffffffff"


class SoftwareHostTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.disk = self.folder / "disk"
        self.data = pseries.make_disk(self.disk)

    def run_guest(self, *options, machine=()):
        """Runs the guest, which has to read and write the disk.

        `options` are more of `vfio-compat run`, `machine` more of QEMU. Returns what the guest
        printed, and what QEMU and `vfio-compat run` said.
        """
        guest = pseries.make_guest(self.folder)
        library = harness.built("compat/preload/libvfio_compat.so")
        command = [
            *("env", f"VFIO_COMPAT_LIBRARY={library}", harness.built("tools/cli/vfio-compat")),
            *("run", "--container=spapr", "--summary", *options),
            *("--device", f"nvme,addr={DEVICE},image={self.disk}", "--"),
            *(*pseries.qemu_command(DEVICE, *guest), *machine),
        ]
        result = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=600, check=False
        )
        console, messages = (
            text.decode(errors="replace").replace("\r", "")
            for text in (result.stdout, result.stderr)
        )
        print(f"{console}\n{messages}")
        self.assertEqual(result.returncode, 0)
        self.assertIn(f"checksum: {pseries.checksum(self.data)} ", console)
        written = pseries.checksum(self.disk.read_bytes())
        self.assertEqual(written, pseries.checksum(pseries.with_writes(self.data)))
        self.assertIn("\nDMA faults: 0\n", messages)
        return console, messages

    def test_firmware_finds_the_controller_and_linux_uses_the_32_bit_window(self):
        console, messages = self.run_guest(machine=("-global", "spapr-pci-host-bridge.ddw=off"))
        self.assertRegex(console, r"00 0000 \(D\) : 1b36 0010 +mass-storage")
        self.assertNotIn("dma-window", console)
        self.assertRegex(messages, r"vfio_prereg_register va=\w+ size=0x20000000 ret=0\n")
        self.assertIn("vfio_spapr_remove_window offset=0x0\n", messages)
        windows = re.findall("vfio_spapr_create_window .* offset=(.*)", messages)
        self.assertEqual(windows, ["0x0"])

    def test_linux_makes_a_64_bit_window_and_uses_it(self):
        # Whatever goes through the 32-bit window fails.
        console, messages = self.run_guest("--fault", LOW)
        created = r"ibm,create-pe-dma-window\(2027\) .* returned 0 \(.* starting addr = 8000000 0\)"
        self.assertRegex(console, created)
        self.assertIn("direct mapping: 1", console)
        windows = re.findall("vfio_spapr_create_window .* offset=(.*)", messages)
        self.assertEqual(windows, ["0x0", "0x800000000000000"])


if __name__ == "__main__":
    harness.main()
