"""File systems for guests that have no disks."""

import shutil
import subprocess


def lay_out(kernel, init, root):
    """Makes the folder `root`: an init, busybox, and modules.

    `kernel` is the folder that tests/vm/power/fetch prints, `init` the guest's first process.
    """
    for name in ("bin", "dev", "modules", "proc", "sys"):
        (root / name).mkdir(parents=True)
    shutil.copy(kernel / "busybox", root / "bin")
    shutil.copy(init, root / "init")
    for module in kernel.glob("*.ko"):
        shutil.copy(module, root / "modules")


def pack(root, initrd):
    """Packs the folder `root` into the file `initrd`."""
    files = "\0".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    with open(initrd, "wb") as file:
        command = ["cpio", "--quiet", "-0", "-o", "-H", "newc", "-R", "0:0"]
        subprocess.run(command, cwd=root, input=files.encode(), stdout=file, check=True)
