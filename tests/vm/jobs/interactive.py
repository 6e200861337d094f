"""For jobs: programs that are talked to, on a terminal of their own."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time


class Program:
    """A program that runs; what it prints is printed too, each line with its name before it.

    The job ends, with status 1, if the program does not do what is waited for.
    """

    def __init__(self, name, command):
        self.name = name
        self.log = ""
        self._printed = 0
        self._terminal, terminal = pty.openpty()
        self._process = subprocess.Popen(
            command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
        )
        os.close(terminal)

    @property
    def pid(self):
        """Of the program itself, or of the one that runs it as its child."""
        return self._process.pid

    def expect(self, pattern, start=0, limit=60):
        """Waits until the program has printed `pattern` behind the first `start` characters.

        Returns what it printed since then, up to the end of the pattern.
        """
        deadline = time.monotonic() + limit
        expression = re.compile(pattern, re.MULTILINE)
        while not (match := expression.search(self.log, start)):
            if not self._read(deadline - time.monotonic()):
                self._print_rest()
                sys.exit(f"{self.name} did not print {pattern!r} within {limit} s")
        return self.log[start : match.end()]

    def ask(self, line, pattern, limit=60):
        """Types a line and waits for `pattern` behind it. Returns what came up to its end."""
        start = len(self.log)
        self.type(line)
        return self.expect(pattern, start, limit)

    def type(self, line):
        """Types a line."""
        os.write(self._terminal, f"{line}\n".encode())

    def wait(self, limit=60):
        """Waits until the program ends, and returns its status."""
        deadline = time.monotonic() + limit
        while self._read(deadline - time.monotonic()):
            pass
        self._print_rest()
        try:
            return self._process.wait(max(1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            sys.exit(f"{self.name} did not end within {limit} s")

    def kill(self):
        """Kills the program, with what runs it, and waits until they are gone."""
        os.killpg(self.pid, signal.SIGKILL)
        self.wait()
        while self._has_processes():
            time.sleep(0.01)

    def _has_processes(self):
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def _read(self, limit):
        """Reads what there is to be read. Returns whether there was anything."""
        ready, _, _ = select.select([self._terminal], [], [], max(0, limit))
        try:
            data = os.read(self._terminal, 1 << 16) if ready else b""
        except OSError:  # EIO: nobody has the other end open
            data = b""
        text = data.decode(errors="replace").replace("\r", "")
        # Colours and the like are left out.
        self.log += re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
        self._print_lines()
        return bool(data)

    def _print_lines(self):
        while (end := self.log.find("\n", self._printed)) >= 0:
            print(f"{self.name}: {self.log[self._printed:end]}", flush=True)
            self._printed = end + 1

    def _print_rest(self):
        if self._printed < len(self.log):
            self.log += "\n"
            self._print_lines()
