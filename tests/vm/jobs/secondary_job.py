#!/usr/bin/env python3
"""A job: two DPDK processes share the ports that they are given.

The primary process sets the ports up; a secondary one forwards packets between them, and another
one reads the ports' counters from the hardware. Both get the descriptors of groups and container
from the primary process, and those of the devices from VFIO.

Usage: secondary_job.py [PREFIX...]
"""

import sys
import time

import dpdk
import interactive
from devices import DEVICES, vm

SECONDS = 1


def start(kind, number, prefix):
    """Starts testpmd as a primary or secondary process, and has it say what it does for it."""
    eal = ["--log-level=lib.eal:8", f"--proc-type={kind}"]
    options = ["--num-procs=2", f"--proc-id={number}"]
    return dpdk.start_testpmd(kind, prefix, DEVICES, eal, options)


def main():
    prefix = sys.argv[1:]
    vm("vm_bind", *DEVICES)
    primary = start("primary", 0, prefix)
    secondary = start("secondary", 1, prefix)
    secondary.ask("start tx_first", dpdk.PROMPT)
    time.sleep(SECONDS)
    output = secondary.ask("stop", dpdk.PROMPT)
    print("forwarded:", dpdk.forwarded_packets(output))
    command = [*prefix, "dpdk-proc-info", *dpdk.allow(DEVICES), "--", "--stats"]
    status = interactive.Program("reader", command).wait()
    if status:
        sys.exit(f"dpdk-proc-info ended with status {status}")
    dpdk.quit_testpmd(secondary)
    dpdk.quit_testpmd(primary)


if __name__ == "__main__":
    main()
