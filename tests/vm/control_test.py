#!/usr/bin/env python3
"""An orchestrator and dpdk-testpmd on the kernel backend: looks, freezes, thaws, revokes."""

import unittest

import harness

PORTS = ("--e1000e", "--e1000e", "--hugepages", "300")
# In this order.
SEEN = (
    "a translation",
    "an event",
    "a limit",
    "packets flow at first",
    "no packets while frozen",
    "no packets while frozen, with a new daemon",
    "packets flow after thawing",
    "no packets after a stopped process was frozen",
    "packets flow after thawing again",
    "no packets after revoking",
    "the session's end",
)


# What the daemon's unit shows beside that.
SEEN_OF_UNIT = (
    "a confined daemon",
    "a call by a client of the daemon's",
    "a reload",
    "a stop, and a start by a caller",
)


class ControlTest(unittest.TestCase):
    def check(self, wanted, job, *arguments):
        output = harness.run_job("iommufd", job, *arguments, options=PORTS)
        print(output)
        seen = [line[6:] for line in output.splitlines() if line.startswith("seen: ")]
        found = [next((s for s in seen if s.startswith(text)), None) for text in wanted]
        self.assertNotIn(None, found, seen)

    def test_orchestrator_acts_on_testpmd(self):
        daemon = harness.built("tools/daemon/vfio-compatd")
        tool = harness.built("tools/cli/vfio-compat")
        self.check(SEEN, "control_job.py", daemon, tool, *harness.under("iommufd"))

    def test_orchestrator_acts_on_testpmd_through_the_unit(self):
        installed = (
            harness.built("tools/daemon/systemd/vfio-compatd.service").parent,
            harness.built("tools/daemon/vfio-compatd"),
            harness.built("tools/daemon/remote/vfio-compat-remote"),
            harness.built("compat/preload/libvfio_compat.so"),
        )
        job = ("python3", harness.JOBS / "control_job.py", "unit")
        tool = harness.built("tools/cli/vfio-compat")
        arguments = (*installed, *job, tool, *harness.under("iommufd"))
        self.check(SEEN + SEEN_OF_UNIT, "systemd_job.sh", *arguments)


if __name__ == "__main__":
    harness.main()
