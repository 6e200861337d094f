#!/usr/bin/env python3
"""A job: programs are killed while they hold devices, and others want the devices at once.

QEMU's driver holds a disk, then testpmd two ports between which it forwards packets.

Usage: killed_job.py [PREFIX...]
"""

import sys

import dpdk
import interactive
from devices import DEVICES, vm

DISK, *PORTS = DEVICES


def use_disk(prefix):
    """Starts qemu-io and has it do something; returns it, holding the disk."""
    program = interactive.Program(
        "qemu-io", [*prefix, "qemu-io", "-f", "raw", f"nvme://{DISK}/1"]
    )
    program.expect("^qemu-io> ")
    program.ask("write -P 7 0 1M", "^wrote 1048576/1048576 bytes")
    return program


def use_ports(prefix):
    """Starts testpmd and has it forward packets."""
    testpmd = dpdk.start_testpmd("testpmd", prefix, PORTS)
    testpmd.ask("start tx_first", dpdk.PROMPT)
    return testpmd


def main():
    prefix = sys.argv[1:]
    vm("vm_bind", *DEVICES)
    use_disk(prefix).kill()
    program = use_disk(prefix)
    program.type("quit")
    if program.wait():
        sys.exit("qemu-io failed")
    use_ports(prefix).kill()
    testpmd = use_ports(prefix)
    print("forwarded:", dpdk.forwarded_packets(testpmd.ask("stop", dpdk.PROMPT)))
    dpdk.quit_testpmd(testpmd)


if __name__ == "__main__":
    main()
