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


class ControlTest(unittest.TestCase):
    def test_orchestrator_acts_on_testpmd(self):
        daemon = harness.built("tools/daemon/vfio-compatd")
        tool = harness.built("tools/cli/vfio-compat")
        arguments = (daemon, tool, *harness.under("iommufd"))
        output = harness.run_job("iommufd", "control_job.py", *arguments, options=PORTS)
        print(output)
        seen = [line[6:] for line in output.splitlines() if line.startswith("seen: ")]
        found = [next((s for s in seen if s.startswith(text)), None) for text in SEEN]
        self.assertNotIn(None, found, seen)


if __name__ == "__main__":
    harness.main()
