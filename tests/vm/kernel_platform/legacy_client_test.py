#!/usr/bin/env python3
"""Who holds what, who shares it and what is left: the same answers as on the legacy kernel.

legacy_client.py runs natively there, and under the library on the kernel without groups, once with
the library alone and once with `vfio-compat run`, whose processes share a host from the start.
"""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # pylint: disable=wrong-import-position

CLIENT = pathlib.Path(__file__).resolve().parent / "legacy_client.py"
FUNCTION = "e1000e,bus=behind_port"
DEVICES = (
    *("--e1000e", "--device", "pcie-root-port,id=behind_port,addr=0x10,chassis=1"),
    *("--device", f"{FUNCTION},addr=0.0,multifunction=on", "--device", f"{FUNCTION},addr=0.1"),
    *("--device", "pcie-pci-bridge,id=bridge,addr=0x11"),
    *("--device", "pci-testdev,bus=bridge,addr=1"),
)
SCRIPT = """
  devices=(0000:00:03.0 0000:01:00.0 0000:01:00.1 0000:02:01.0)
  vm_bind "${devices[@]}"
  exec "$@" python3 %s "${devices[@]}"
"""


class LegacyClientTest(unittest.TestCase):
    maxDiff = None

    def answers(self, kernel, *command):
        script = f'. "$VM_LIB"\n{SCRIPT % CLIENT}'
        result = harness.guest(kernel, "bash", "-c", script, "_", *command, options=DEVICES)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout

    def test_the_kernel_without_groups_answers_as_the_legacy_kernel(self):
        legacy = self.answers("legacy")
        print(legacy)
        self.assertNotIn("failed", legacy)
        library = harness.built("compat/preload/libvfio_compat.so")
        alone = ("env", f"LD_PRELOAD={library}", "VFIO_COMPAT_BACKEND=kernel")
        for name, command in (("alone", alone), ("run", harness.under("iommufd"))):
            with self.subTest(name):
                self.assertEqual(self.answers("iommufd", *command), legacy)


if __name__ == "__main__":
    harness.main()
