#!/usr/bin/env python3
"""A device's DMA to pages of a window goes on while those beside them are changed: for a minute, on
both backends. That a page which is not there would be noticed is shown, too."""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # pylint: disable=wrong-import-position

SECONDS = 60
DEVICE = "0000:00:05.0"
# Takes the command that goes before the program, the program, and its arguments but for the group
# and the device.
GUEST_JOB = """
  vm_bind $VM_DEVICES
  dmesg --clear
  "${@:2:$1}" "${@:$1 + 2:1}" $(vm_group $VM_DEVICES) $VM_DEVICES "${@:$1 + 3}"
  status=$?
  dmesg
  exit $status
"""


def program():
    return harness.built("tests/vm/windows/dma_loop")


class DmaLoopTest(unittest.TestCase):
    def check_counts(self, output):
        """That there was something to be seen."""
        counts = re.search(r"(\d+) transfers, (\d+) changes beside them, (\d+) rounds", output)
        self.assertTrue(counts, output)
        for count in counts.groups():
            self.assertGreater(int(count), 100, output)


class SoftwareHostTest(DmaLoopTest):
    def run_loop(self, *arguments):
        library = harness.built("compat/preload/libvfio_compat.so")
        tool = harness.built("tools/cli/vfio-compat")
        with tempfile.NamedTemporaryFile() as disk:
            disk.truncate(1 << 20)
            result = subprocess.run(
                [
                    *("env", f"VFIO_COMPAT_LIBRARY={library}", tool, "run", "--container=spapr"),
                    *("--summary", "--device", f"nvme,addr={DEVICE},group=7,image={disk.name}"),
                    *("--", program(), "7", DEVICE, *arguments),
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
        print(result.stdout)
        self.assertEqual(result.returncode, 0, result.stdout)
        return result.stdout

    def test_every_transfer_arrives(self):
        output = self.run_loop(str(SECONDS))
        self.check_counts(output)
        self.assertIn("\nDMA faults: 0\n", output)

    def test_a_missing_page_is_noticed(self):
        output = self.run_loop("1", "unmapped")
        self.assertIn("a transfer to a page that is not mapped did not arrive\n", output)
        self.assertRegex(output, "\nDMA faults: [1-9]")


class IommufdTest(DmaLoopTest):
    def run_loop(self, *arguments):
        command = [*harness.under("iommufd", "--container=spapr")]
        script = f'. "$VM_LIB"\n{GUEST_JOB}'
        result = harness.guest(
            *("iommufd", "bash", "-c", script, "_"),
            *(str(len(command)), *command, program(), *arguments),
            options=("--nvme", "1M"),
        )
        print(result.stdout)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout

    def test_every_transfer_arrives(self):
        output = self.run_loop(str(SECONDS))
        self.check_counts(output)
        self.assertNotIn("DMAR", output)

    def test_a_missing_page_is_noticed(self):
        output = self.run_loop("1", "unmapped")
        self.assertIn("a transfer to a page that is not mapped did not arrive\n", output)
        self.assertRegex(output, r"DMAR: \[DMA Write.*fault addr 0x115000")


if __name__ == "__main__":
    harness.main()
