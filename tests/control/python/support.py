"""A daemon of one's own, and programs under the library that it sees."""

import os
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading

RUNFILES = pathlib.Path(os.environ["TEST_SRCDIR"], os.environ["TEST_WORKSPACE"])
sys.path.insert(0, str(RUNFILES / "tools/api"))

import grpc  # pylint: disable=wrong-import-position

LIBRARY = RUNFILES / "compat/preload/libvfio_compat.so"
DAEMON = RUNFILES / "tools/daemon/vfio-compatd"
REMOTE = RUNFILES / "tools/daemon/remote/vfio-compat-remote"
TOOL = RUNFILES / "tools/cli/vfio-compat"
PATIENCE = 60  # seconds: for what should be there at once on a machine with nothing else to do
ADDRESS = "0000:00:05.0"
DISK = f"nvme://{ADDRESS}/1"


class Daemon:
    """vfio-compatd, with sockets in a folder of its own."""

    def __init__(self, folder):
        self.session_socket = f"{folder}/session.sock"
        self.socket = f"{folder}/control.sock"
        self.process = None
        self.channel = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            [
                *(DAEMON, "--session-socket", self.session_socket, "--socket", self.socket),
                *("--library", LIBRARY, "--remote", REMOTE, "--log-level", "warn"),
            ]
        )
        self.channel = grpc.insecure_channel(f"unix:{self.socket}")
        grpc.channel_ready_future(self.channel).result(PATIENCE)

    def kill(self):
        self.channel.close()
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.channel.close()
        self.process.terminate()
        status = self.process.wait(PATIENCE)
        if status != 0:
            raise AssertionError(f"the daemon ended with status {status}")


def environment(daemon, image):
    """What a program is to have that uses the emulated disk and that the daemon sees."""
    return {
        **os.environ,
        "LD_PRELOAD": str(LIBRARY),
        "VFIO_COMPAT_DEVICES": f"nvme,addr={ADDRESS},image={image}",
        "VFIO_COMPAT_CONTROL": daemon.session_socket,
    }


class QemuIo:
    """qemu-io on an emulated disk, which does what it is told: one command at a time."""

    PROMPT = "qemu-io> "

    def __init__(self, daemon, image):
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            ["qemu-io", "-f", "raw", DISK],
            env=environment(daemon, image),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
        )
        self._answers = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.answer()

    def _read(self):
        text = ""
        while data := self.process.stdout.read(4096):
            text += data.decode(errors="replace")
            *answers, text = text.split(self.PROMPT)
            for answer in answers:
                self._answers.put(answer)
        self.process.stdout.close()
        self._answers.put(None)

    def send(self, command):
        self.process.stdin.write(command.encode() + b"\n")

    def answer(self, timeout=PATIENCE):
        """What it printed until its next prompt. queue.Empty if it does not get there."""
        answer = self._answers.get(timeout=timeout)
        if answer is None:
            raise AssertionError("qemu-io ended")
        return answer

    def do(self, command):
        self.send(command)
        return self.answer()

    def quit(self):
        self.send("quit")
        return self.process.wait(PATIENCE)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()


class Watcher:
    """Events as they come, in a thread of its own."""

    def __init__(self, stub, request):
        self._call = stub.Watch(request)
        self._events = queue.Queue()
        self.dropped = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for response in self._call:
                self.dropped += response.dropped
                for event in response.events:
                    self._events.put(event)
        except grpc.RpcError:
            self._events.put(None)

    def until(self, condition):
        """The next event for which `condition` is true."""
        while True:
            event = self._events.get(timeout=PATIENCE)
            if event is None:
                raise AssertionError("the stream ended")
            if condition(event):
                return event

    def cancel(self):
        self._call.cancel()


def make_image(folder, mebibytes=16):
    path = pathlib.Path(folder, "disk.img")
    with path.open("wb") as image:
        image.truncate(mebibytes << 20)
    return path


def temporary_folder():
    # Sockets' paths are short.
    return tempfile.TemporaryDirectory(prefix="vfio-compat-", dir="/tmp")


def tool(daemon, *arguments):
    """Runs the command line on the daemon. Returns what it printed; fails if it fails."""
    command, *rest = arguments
    result = subprocess.run(
        [TOOL, command, "--host", f"unix:{daemon.socket}", *map(str, rest)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if result.returncode:
        raise AssertionError(f"{arguments}: status {result.returncode}: {result.stderr}")
    return result.stdout
