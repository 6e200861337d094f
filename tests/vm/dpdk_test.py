#!/usr/bin/env python3
"""DPDK's testpmd on two ports: how many packets it forwards, and from a secondary process too."""

import functools
import re
import unittest

import harness

PORTS = ("--e1000e", "--e1000e", "--hugepages", "300")


def run_job(kernel, name, *options):
    return harness.run_job(kernel, name, *harness.under(kernel, *options), options=PORTS)


def figure(output):
    """What the job printed as `forwarded: N`."""
    return int(re.search(r"^forwarded: (\d+)$", output, re.MULTILINE)[1])


@functools.cache
def forwarded(kernel):
    packets = figure(run_job(kernel, "forwarding_job.py"))
    print(f"forwarded on {kernel}: {packets} packets")
    return packets


class ForwardingTest(unittest.TestCase):
    def test_on_legacy(self):
        self.assertGreater(forwarded("legacy"), 0)

    def test_on_iommufd(self):
        self.assertGreater(forwarded("iommufd"), 0)
        # For docs/performance.md; a test that timed them would fail on a busy machine.
        share = forwarded("iommufd") / forwarded("legacy")
        print(f"forwarded on iommufd, of what the legacy kernel forwards: {share:.2f}")


class SpaprTest(unittest.TestCase):
    def test_on_iommufd(self):
        output = run_job("iommufd", "forwarding_job.py", "--container=spapr")
        self.assertIn("EAL: Using IOMMU type 7 (sPAPR)", output)
        self.assertNotIn("EAL: Using IOMMU type 1", output)
        packets = figure(output)
        self.assertGreater(packets, 0)
        # Beside what the same library forwards as type 1.
        share = packets / forwarded("iommufd")
        print(f"forwarded as a SPAPR client: {packets} packets, {share:.2f} of type 1")


class SecondaryProcessTest(unittest.TestCase):
    def check(self, kernel):
        output = run_job(kernel, "secondary_job.py")
        self.assertGreater(figure(output), 0, output)
        log = "\n".join(re.findall("^secondary: (.*)", output, re.MULTILINE))
        self.assertIn("EAL: VFIO support initialized", log)
        self.assertIn("EAL: request: eal_vfio_mp_sync", log)
        # The registers of two ports, each by its own descriptor.
        ports = re.findall(r"PCI memory mapped at .*\n(?:.*\n)*?.*Probe PCI driver", log)
        self.assertEqual(len(ports), 2, output)
        received = re.findall(r"^reader: +RX-packets: (\d+)", output, re.MULTILINE)
        self.assertGreater(sum(map(int, received)), 0, output)

    def test_on_legacy(self):
        self.check("legacy")

    def test_on_iommufd(self):
        self.check("iommufd")


if __name__ == "__main__":
    harness.main()
