"""What scenes of legacy_client.py are made of: answers that are printed, holders, children."""

import os
import signal
import sys

import vfio


def say(what, answer):
    print(f"  {what}: {answer}", flush=True)


def opened(what, fd):
    """Says whether something was opened, and returns its descriptor."""
    say(what, "opened" if isinstance(fd, int) else fd)
    return fd


def close(*fds):
    for fd in fds:
        os.close(fd)


def holder(address):
    """A container with an IOMMU, the device's group in it, and the device."""
    container = vfio.open_container()
    group = vfio.open_group(address)
    answers = vfio.set_container(group, container), vfio.set_iommu(container)
    device = vfio.get_device(group, address)
    say("a holder", (*answers, isinstance(device, int)))
    return container, group, device


def is_free(address):
    """Says whether everything can be had at once, and gives it back."""
    group = vfio.open_group(address)
    say("it is free", isinstance(group, int) or group)
    if isinstance(group, int):
        close(group)
        close(*holder(address))


class Child:
    """A forked child that runs a function, says so, and waits to be told to end or to be killed."""

    def __init__(self, body):
        ready, self._ready = os.pipe()
        end, self._end = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            close(ready, self._end)
            body()
            os.write(self._ready, b"r")
            os.read(end, 1)
            os._exit(0)
        close(self._ready, end)
        os.read(ready, 1)
        close(ready)

    def end(self):
        close(self._end)
        os.waitpid(self.pid, 0)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        close(self._end)
