#!/usr/bin/env python3
"""A pseries guest in the virtual machine whose kernel has iommufd alone, with the machine's NVMe
controller assigned: QEMU is a client of SPAPR TCE version 2, on an IOMMU of x86."""

import pathlib
import re
import tempfile
import unittest

import pseries
from pseries import harness

# The IOMMU has 39 bits of address: QEMU's own place for 64-bit windows is out of reach.
WINDOW = 0x4000000000
JOB = """
  vm_bind $VM_DEVICES
  exec "$@"
"""


class IommufdTest(unittest.TestCase):
    def test_linux_makes_a_64_bit_window_and_uses_it(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            data = pseries.make_disk(folder / "disk")
            command = [
                *harness.under("iommufd", "--container=spapr", f"--tce64-start={WINDOW:#x}"),
                *pseries.qemu_command("0000:00:03.0", *pseries.make_guest(folder)),
                *("-global", f"spapr-pci-host-bridge.dma64_win_addr={WINDOW:#x}"),
            ]
            script = f'. "$VM_LIB"\n{JOB}'
            result = harness.guest(
                *("iommufd", "bash", "-c", script, "_", *command),
                options=("--nvme", folder / "disk", "--time", "1800"),
            )
            written = pseries.checksum((folder / "disk").read_bytes())
        output = result.stdout.replace("\r", "")
        print(output, result.stderr)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(output, r"00 0000 \(D\) : 1b36 0010 +mass-storage")
        self.assertRegex(output, r"vfio_prereg_register va=\w+ size=0x20000000 ret=0\n")
        self.assertIn("vfio_spapr_remove_window offset=0x0\n", output)
        windows = re.findall("vfio_spapr_create_window .* offset=(.*)", output)
        self.assertEqual(windows, ["0x0", hex(WINDOW)])
        self.assertIn("direct mapping: 1", output)
        self.assertIn(f"checksum: {pseries.checksum(data)} ", output)
        self.assertEqual(written, pseries.checksum(pseries.with_writes(data)))


if __name__ == "__main__":
    harness.main()
