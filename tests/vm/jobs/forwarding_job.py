#!/usr/bin/env python3
"""A job: dpdk-testpmd forwards packets between the two ports that it is given.

Prints how many it forwarded in the best of some stretches of the same length, as `forwarded: N`:
what else the machine does makes them fewer, and nothing makes them more.

Usage: forwarding_job.py [PREFIX...]
"""

import sys
import time

import dpdk
from devices import DEVICES, vm

STRETCHES = 3
SECONDS = 2


def forwarded(testpmd):
    testpmd.ask("start tx_first", dpdk.PROMPT)
    time.sleep(SECONDS)
    output = testpmd.ask("stop", dpdk.PROMPT)
    return dpdk.forwarded_packets(output)


def main():
    vm("vm_bind", *DEVICES)
    testpmd = dpdk.start_testpmd("testpmd", sys.argv[1:], DEVICES)
    print("forwarded:", max(forwarded(testpmd) for _ in range(STRETCHES)))
    dpdk.quit_testpmd(testpmd)


if __name__ == "__main__":
    main()
