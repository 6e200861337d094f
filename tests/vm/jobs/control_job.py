#!/usr/bin/env python3
"""A job: an orchestrator acts on dpdk-testpmd while it forwards packets between its two ports.

Prints a line for each thing that was seen, as `seen: ...`, and fails at the first that is not as it
should be.

Usage: control_job.py DAEMON TOOL PREFIX...
  DAEMON  the program; "unit" for vfio-compatd.service of the systemd that runs
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import dpdk
from devices import DEVICES, vm

FOLDER = pathlib.Path("/run/vfio-compat")
CONTROL = FOLDER / "control.sock"
SESSION = FOLDER / "session.sock"
PATIENCE = 60
# How long nothing may arrive before it counts as stopped: packets arrive by the thousand a second.
STILL = 2


def fail(text):
    sys.exit(f"not seen: {text}")


def saw(text):
    print(f"seen: {text}", flush=True)


def wait_for(what, condition):
    """Waits until a condition is true, and returns what it came to."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        if time.monotonic() > deadline:
            fail(f"{what}, for {PATIENCE} s")
        time.sleep(0.05)
    return value


class Daemon:
    """vfio-compatd, and the command line that speaks to it."""

    def __init__(self, program, tool):
        self._program, self._tool = program, tool
        self.start()

    def start(self):
        FOLDER.mkdir(exist_ok=True)
        command = [self._program, "--socket", CONTROL, "--session-socket", SESSION]
        self._process = subprocess.Popen(command)  # pylint: disable=consider-using-with
        wait_for("the daemon", lambda: self._run("ps").returncode == 0)

    def _run(self, command, *arguments):
        words = [self._tool, command, "--host", f"unix:{CONTROL}", *arguments]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    def kill(self):
        self._process.kill()
        self._process.wait()

    def ask(self, command, *arguments):
        """What a command of the tool prints; the job fails if it does."""
        result = self._run(command, *arguments)
        if result.returncode:
            fail(f"{command}: {result.stderr}")
        return result.stdout

    def ask_json(self, command, *arguments):
        return json.loads(self.ask(command, *arguments, "--json"))

    def session(self):
        """The only session; nothing if it is not there yet."""
        sessions = self.ask_json("ps").get("sessions", [])
        return self.ask_json("show", sessions[0]["id"]) if len(sessions) == 1 else None


class Unit(Daemon):
    """The same as systemd runs it."""

    def __init__(self, tool):
        super().__init__("vfio-compatd.service", tool)

    def systemctl(self, verb, *arguments):
        words = ["systemctl", verb, *arguments]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()

    def property(self, name):
        return self.systemctl("show", "--value", f"--property={name}", self._program)

    def start(self):
        self.systemctl("start", "vfio-compatd.socket")
        # The first caller starts it, if systemd has not yet.
        wait_for("the daemon", lambda: self._run("ps").returncode == 0)
        wait_for("that systemd hears of it", lambda: self.property("ActiveState") == "active")

    def kill(self):
        killed = self.property("MainPID")
        self.systemctl("kill", "--signal=KILL", self._program)
        wait_for("another daemon", lambda: self.property("MainPID") not in ("0", killed))

    def check_as_unit(self):
        """What only a unit has: it is confined, and yet all of it works."""
        status = pathlib.Path(f"/proc/{self.property('MainPID')}/status").read_text(encoding="ascii")
        for line in ("NoNewPrivs:\t1", "Seccomp:\t2"):
            if line not in status:
                fail(f"{line} of a confined daemon: {status}")
        saw("a confined daemon")
        answer = self.ask("call", "VFIO_IOMMU_GET_INFO", "--type", "type1v2", "--size", "256")
        saw(f"a call by a client of the daemon's: {answer.splitlines()[0]}")
        self.systemctl("reload", self._program)
        if self.property("ActiveState") != "active":
            fail("a unit that was reloaded")
        saw("a reload")

    def check_stop(self):
        """It ends when it is told to, and the next caller starts it."""
        self.systemctl("stop", self._program)
        if self.property("Result") != "success":
            fail(f"a unit that stopped: {self.property('Result')}")
        self.ask("ps")
        if self.property("ActiveState") != "active":
            fail("that a caller starts it")
        saw("a stop, and a start by a caller")


class Ports:
    """What arrives at testpmd's ports."""

    def __init__(self, testpmd):
        self._testpmd = testpmd

    def received(self):
        output = self._testpmd.ask("show port stats all", r"(?s)(RX-packets.*){2}" + dpdk.PROMPT)
        return sum(map(int, re.findall(r"RX-packets: +(\d+)", output)))

    def flow(self):
        """How many packets arrive in a while."""
        before = self.received()
        time.sleep(STILL)
        return self.received() - before

    def restart(self):
        """Has packets go round again. Those that were under way are lost, and with a device that
        was cut off in the middle of a transfer only a reset helps: so does hardware."""
        for command in ("stop", "port stop all", "port start all", "start tx_first"):
            self._testpmd.ask(command, dpdk.PROMPT)

    def check_flow(self, what):
        flow = self.flow()
        if flow == 0:
            fail(f"packets, {what}")
        saw(f"packets flow {what}: {flow}")

    def check_stillness(self, what):
        # What arrived before it was told may be counted now.
        self.received()
        flow = self.flow()
        if flow != 0:
            fail(f"no packets, {what}: {flow}")
        saw(f"no packets {what}")


def check_looks(daemon, pid):
    """What a session has, and what its limits are."""
    first, _, user_address = re.match(r"(\w+)-\w+ (\S+) (\w+)", daemon.ask("maps", pid)).groups()
    translation = daemon.ask_json("translate", pid, f"0x{first}")
    if int(translation["user_address"]) != int(user_address, 16):
        fail(f"that 0x{first} leads to 0x{user_address}: {translation}")
    saw("a translation")
    # From the beginning on: the session, then its first mapping, are there already.
    events = daemon.ask("watch", pid, "--from", "1", "--count", "1", "--json")
    if json.loads(events.splitlines()[0])["kind"] != "KIND_OPENED":
        fail(f"that the session was opened: {events}")
    saw("an event")
    daemon.ask("limit", pid, "--mappings", "100")
    container = daemon.session()["containers"][0]
    if int(container["limits"]["mapping_count"]) != 100:
        fail(f"a limit of 100 mappings: {container}")
    daemon.ask("limit", pid)
    saw("a limit")


def check_freezing(daemon, ports, pid):
    daemon.ask("freeze", pid)
    ports.check_stillness("while frozen")
    daemon.kill()
    daemon.start()
    session = wait_for("the session again", daemon.session)
    if not session["containers"][0].get("is_frozen"):
        fail(f"a container that is still frozen: {session}")
    ports.check_stillness("while frozen, with a new daemon")
    daemon.ask("thaw", pid)
    ports.restart()
    ports.check_flow("after thawing")


def check_freezing_a_stopped_process(daemon, ports, pid):
    os.kill(int(pid), signal.SIGSTOP)
    output = daemon.ask("freeze", pid)
    if "did not answer" not in output:
        fail(f"that the process does not answer: {output}")
    os.kill(int(pid), signal.SIGCONT)
    ports.check_stillness("after a stopped process was frozen")
    daemon.ask("thaw", pid)
    ports.restart()
    ports.check_flow("after thawing again")


def main():
    program, tool, *prefix = sys.argv[1:]
    vm("vm_bind", *DEVICES)
    is_unit = program == "unit"
    daemon = Unit(tool) if is_unit else Daemon(program, tool)
    testpmd = dpdk.start_testpmd("testpmd", [*prefix[:-1], f"--control={SESSION}", "--"], DEVICES)
    ports = Ports(testpmd)
    testpmd.ask("start tx_first", dpdk.PROMPT)
    session = wait_for("the session", daemon.session)
    pid = str(session["pid"])
    if session["backend"] != "BACKEND_KERNEL" or "dpdk-testpmd" not in session["command"]:
        fail(f"testpmd on the kernel backend: {session}")
    saw(f"testpmd, {len(daemon.ask('maps', pid).splitlines())} mappings")
    check_looks(daemon, pid)
    ports.check_flow("at first")
    check_freezing(daemon, ports, pid)
    check_freezing_a_stopped_process(daemon, ports, pid)
    if is_unit:
        daemon.check_as_unit()
    daemon.ask("revoke", pid)
    ports.check_stillness("after revoking")
    dpdk.quit_testpmd(testpmd)
    wait_for("the session's end", lambda: not daemon.ask_json("ps").get("sessions"))
    saw("the session's end")
    if is_unit:
        daemon.check_stop()


if __name__ == "__main__":
    main()
