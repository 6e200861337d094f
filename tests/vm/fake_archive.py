"""An archive of Debian's that is made up: nothing is fetched.

`apt-get`, `apt-cache` and `dpkg-deb` are scripts, and a journal says what they were asked for.
"""

import os
import pathlib
import subprocess
import tempfile
import unittest

# $SUITES are those that the archive has, $FILES what a download leaves.
FAKE_APT_GET = """#!/bin/bash
case "$*" in
  *indextargets*) printf '%s\\n' 'Other|main|http://other/' 'Debian|main|http://debian/' \
    'Debian|contrib|http://debian/' ;;
  *update*)
    sources=$(sed -n 's/^deb //p' "$XDG_CACHE_HOME"/vfio-compat/vm/*-apt/sources.list)
    echo "update ${sources//$'\\n'/, }" >> "$JOURNAL"
    while read -r archive suite _; do
      [[ $archive == http://debian/ && " $SUITES " == *" $suite "* ]] || exit 100
    done <<< "$sources" ;;
  *download*)
    echo download >> "$JOURNAL"
    eval "${WHILE_FETCHING:-}"
    touch $FILES ;;
esac
"""

# $FOUND is what it has of what is looked for, $VERSION the version.
FAKE_APT_CACHE = """#!/bin/bash
case "$*" in
  *search*) echo "$FOUND" ;;
  *show*) echo "Version: $VERSION" ;;
esac
"""

# What is below $PACKAGE is in every package.
FAKE_DPKG_DEB = """#!/bin/bash
cd "$PACKAGE" && tar -c .
"""


class ArchiveTest(unittest.TestCase):
    """`command` and `archive`, the scripts' variables, are a subclass's."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.journal = self.folder / "journal"
        self.cache = self.folder / "cache/vfio-compat/vm"
        self.program("apt-get", FAKE_APT_GET)
        self.program("apt-cache", FAKE_APT_CACHE)
        self.program("dpkg-deb", FAKE_DPKG_DEB)

    def program(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)

    def fetch(self, *arguments, **environment):
        """Returns the status, what was printed, and the messages."""
        result = subprocess.run(
            [self.command, *arguments],
            env={
                **os.environ,
                "PATH": f"{self.folder}:{os.environ['PATH']}",
                "XDG_CACHE_HOME": str(self.folder / "cache"),
                "JOURNAL": str(self.journal),
                "PACKAGE": str(self.folder / "package"),
                **self.archive,
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        return result.returncode, result.stdout.strip(), result.stderr

    def happened(self):
        return self.journal.read_text().splitlines() if self.journal.exists() else []
