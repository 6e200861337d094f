"""For jobs: dpdk-testpmd on network ports that are on one hub."""

import re
import sys

import interactive

PROMPT = "^testpmd> "


def allow(ports):
    """The options that have a DPDK program use these devices and no others."""
    return [word for port in ports for word in ("-a", port)]


def start_testpmd(name, prefix, ports, eal_options=(), options=()):
    """Starts testpmd, its log with `name` before each line, and waits until it takes commands."""
    eal = ["-l", "0-1", "-n", "1", *allow(ports), *eal_options]
    own = ["-i", "--total-num-mbufs=4096", "--no-lsc-interrupt", *options]
    testpmd = interactive.Program(name, [*prefix, "dpdk-testpmd", *eal, "--", *own])
    testpmd.expect(PROMPT)
    return testpmd


def forwarded_packets(output):
    """The packets that all ports took in, of what testpmd prints when it stops forwarding."""
    packets = re.search(r"for all ports\++\s+RX-packets: (\d+)", output)
    return int(packets[1]) if packets else 0


def quit_testpmd(testpmd):
    """Ends testpmd; fails unless it closes both its ports, and says goodbye with status 0."""
    testpmd.type("quit")
    status = testpmd.wait()
    closing = ("Port 0 is closed", "Port 1 is closed", "Bye...")
    missing = [line for line in closing if line not in testpmd.log]
    if status or missing:
        sys.exit(f"testpmd ended with status {status}, without {missing}")
