#!/usr/bin/env python3
"""When tests/vm/kernel builds, and what it makes of builds that fail or are killed.

Nothing is compiled: `tar` unpacks a source of one file, and `make` is a script that says in a
journal what it was asked for.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import harness

# $KNOWN is an option that the source knows.
FAKE_TAR = """#!/bin/bash
echo unpack >> "$JOURNAL"
cd "$4" && mkdir -p scripts/kconfig && cp "$MERGE_CONFIG" scripts/kconfig/merge_config.sh
echo "config ${KNOWN:-}" > Kconfig
"""

# merge_config.sh -m -O FOLDER CONFIG FRAGMENT...; $WITHOUT is what cannot be had.
FAKE_MERGE_CONFIG = """#!/bin/bash
cat "${@:5}" | grep -v "${WITHOUT:-nothing}" > "$3/.config"
"""

FAKE_MAKE = """#!/bin/bash
[[ "${@: -1}" == bzImage ]] || exit 0
for word; do [[ $word != O=* ]] || cd "${word#O=}"; done
found=$([[ -e rest ]] && echo on what is there || echo from nothing)
touch rest
echo "build $found" >> "$JOURNAL"
eval "${WHILE_BUILDING:-}"
mkdir -p arch/x86/boot && cp .config arch/x86/boot/bzImage
"""


class KernelTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.journal = self.folder / "journal"
        self.program("dpkg-query", "#!/bin/bash\necho 6.12.1-1\n")
        self.program("tar", FAKE_TAR)
        self.program("make", FAKE_MAKE)
        merge_config = self.program("merge_config", FAKE_MERGE_CONFIG)
        self.environment = {
            **os.environ,
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "JOURNAL": str(self.journal),
            "MERGE_CONFIG": str(merge_config),
        }

    def program(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def start(self, *arguments, **environment):
        return subprocess.Popen(
            [harness.HERE / "kernel", *arguments],
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finish(self, process):
        """Returns the status, the paths and the messages of a process that was started."""
        output, errors = process.communicate(timeout=120)
        if process.returncode == harness.LACKING:
            self.skipTest(errors.strip())
        return process.returncode, output.split(), errors

    def run_kernel(self, *arguments, **environment):
        return self.finish(self.start(*arguments, **environment))

    def happened(self):
        return self.journal.read_text().splitlines() if self.journal.exists() else []

    def start_and_stop(self, number):
        """Sends a signal to a build, its make among it, while it builds."""
        process = self.start("iommufd", WHILE_BUILDING="sleep 60")
        while process.poll() is None and self.happened()[-1:] != ["build from nothing"]:
            time.sleep(0.01)
        if process.poll() is None:
            os.killpg(process.pid, number)
        status, paths, _ = self.finish(process)
        self.assertNotEqual(status, 0)
        self.assertEqual(paths, [])

    def test_a_kernel_is_built_once(self):
        status, paths, _ = self.run_kernel("iommufd")
        self.assertEqual(status, 0)
        self.assertIn("CONFIG_IOMMUFD=y\n", pathlib.Path(paths[0]).read_text())
        self.assertEqual(self.run_kernel("iommufd"), (0, paths, ""))
        self.assertEqual(self.happened(), ["unpack", "build from nothing"])

    def test_another_configuration_is_built_in_the_same_tree(self):
        status, paths, _ = self.run_kernel("iommufd", "legacy")
        self.assertEqual((status, len(set(paths))), (0, 2))
        expected = ["unpack", "build from nothing", "build on what is there"]
        self.assertEqual(self.happened(), expected)

    def test_two_who_want_a_kernel_at_once_get_the_same(self):
        both = [self.start("iommufd", WHILE_BUILDING="sleep 1") for _ in range(2)]
        (status, paths, _), other = (self.finish(process) for process in both)
        self.assertEqual((status, paths), other[:2])
        self.assertEqual((status, len(paths)), (0, 1))
        self.assertEqual(self.happened(), ["unpack", "build from nothing"])

    def test_a_build_that_fails_says_why_and_leaves_no_kernel(self):
        status, paths, errors = self.run_kernel("iommufd", WHILE_BUILDING="echo why; exit 2")
        self.assertEqual((status, paths), (1, []))
        self.assertIn("why", errors)
        self.assertEqual(self.run_kernel("--cached", "iommufd")[0], 1)

    def test_a_build_that_was_interrupted_goes_on(self):
        self.start_and_stop(signal.SIGINT)
        self.assertEqual(self.run_kernel("iommufd")[0], 0)
        self.assertEqual(self.happened()[-1], "build on what is there")

    def test_a_build_that_was_killed_starts_from_nothing(self):
        self.start_and_stop(signal.SIGKILL)
        self.assertEqual(self.run_kernel("iommufd")[0], 0)
        self.assertEqual(self.happened(), ["unpack"] + ["build from nothing"] * 2)

    def test_an_option_that_does_not_come_out_set_is_a_failure(self):
        status, paths, errors = self.run_kernel("iommufd", WITHOUT="CONFIG_9P_FS")
        self.assertEqual((status, paths), (1, []))
        self.assertIn("CONFIG_9P_FS=y", errors)
        self.assertEqual(self.happened(), ["unpack"])

    def newest_source(self):
        cache = self.folder / "cache/vfio-compat/vm"
        cache.mkdir(parents=True)
        (cache / "linux-source-7.9-1.tar.xz").touch()

    def test_the_newest_is_built_from_a_source_of_its_own(self):
        self.newest_source()
        status, paths, errors = self.run_kernel("newest", "iommufd")
        self.assertEqual(status, 0, errors)
        self.assertIn("/7.9-1/newest-", paths[0])
        self.assertIn("/6.12.1-1/iommufd-", paths[1])
        self.assertEqual(self.happened(), ["unpack", "build from nothing"] * 2)

    def test_the_newest_may_have_lost_options(self):
        self.newest_source()
        self.assertEqual(self.run_kernel("newest", WITHOUT="CONFIG_9P_FS")[0], 0)

    def test_the_newest_has_to_have_those_that_it_knows(self):
        self.newest_source()
        process = self.start("newest", WITHOUT="CONFIG_9P_FS", KNOWN="9P_FS")
        _, errors = process.communicate()
        self.assertEqual(process.returncode, harness.LACKING)
        self.assertIn("CONFIG_9P_FS=y", errors)

    def test_nothing_is_built_where_only_what_is_there_is_asked_for(self):
        status, paths, errors = self.run_kernel("--cached", "iommufd")
        self.assertEqual((status, paths), (1, []))
        self.assertIn("has not been built yet", errors)
        self.assertEqual(self.happened(), [])

    def test_a_kernel_that_there_is_not_is_refused(self):
        self.assertEqual(self.run_kernel("unheard-of")[0], 1)

    def test_a_machine_without_the_tools_is_told_apart(self):
        for tool in ("bash", "cat", "cut", "dirname", "mkdir", "sha256sum", "uname"):
            (self.folder / tool).symlink_to(shutil.which(tool))
        process = self.start("iommufd", PATH=str(self.folder))
        _, errors = process.communicate()
        self.assertEqual(process.returncode, harness.LACKING)
        self.assertIn("missing", errors)


if __name__ == "__main__":
    harness.main()
