"""For jobs: the devices that boot placed, and the functions of guest/lib.sh."""

import os
import subprocess

DEVICES = os.environ["VM_DEVICES"].split()


def vm(function, *arguments):
    """Runs a function of guest/lib.sh; returns what it printed. Fails if it does."""
    script = f'. "$VM_LIB"; {function} "$@"'
    command = ["bash", "-c", script, function, *arguments]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return result.stdout.strip()
