#!/usr/bin/env python3
"""Where tests/vm/newest_source looks, what it keeps, and what is left where it fails."""

import harness
from fake_archive import ArchiveTest


class NewestSourceTest(ArchiveTest):
    command = harness.HERE / "newest_source"
    archive = {
        "SUITES": "trixie trixie-backports",
        "FOUND": "linux-source-7.10 - Linux\nlinux-source-7.9 - Linux",
        "VERSION": "7.10.2-1",
        "FILES": "linux-source-7.10_1.deb",
    }

    def setUp(self):
        super().setUp()
        source = self.folder / "package/usr/src/linux-source-7.10.tar.xz"
        source.parent.mkdir(parents=True)
        source.write_text("source")

    def test_the_newest_source_is_fetched_once(self):
        status, tarball, errors = self.fetch()
        self.assertEqual(status, 0, errors)
        self.assertEqual(tarball, f"{self.cache}/linux-source-7.10.2-1.tar.xz")
        with open(tarball, encoding="utf-8") as source:
            self.assertEqual(source.read(), "source")
        self.assertIn("Fetching linux-source-7.10 7.10.2-1", errors)
        self.assertEqual(self.fetch(), (0, tarball, ""))
        backports = "http://debian/ trixie-backports main, http://debian/ trixie main"
        self.assertEqual(self.happened(), [f"update {backports}", "download"])

    def test_a_newer_one_is_fetched_when_asked_for(self):
        self.fetch(VERSION="7.9.9-1")
        self.assertIn("-7.9.9-1.", self.fetch()[1])
        self.assertIn("-7.10.2-1.", self.fetch("--newest")[1])
        self.assertIn("-7.10.2-1.", self.fetch()[1])

    def test_an_archive_without_one_is_told_apart(self):
        for environment in ({"SUITES": "bookworm"}, {"FOUND": ""}):
            with self.subTest(environment):
                status, tarball, errors = self.fetch(**environment)
                self.assertEqual((status, tarball), (harness.LACKING, ""))
                self.assertIn("no archive that apt knows here has a newer kernel", errors)

    def test_a_fetch_that_fails_leaves_nothing(self):
        status, tarball, errors = self.fetch(WHILE_FETCHING="echo why; exit 100")
        self.assertEqual((status, tarball), (1, ""))
        self.assertIn("why", errors)
        self.assertEqual(self.fetch("--cached")[0], 1)

    def test_a_package_without_a_source_is_refused(self):
        (self.folder / "package/usr/src/linux-source-7.10.tar.xz").unlink()
        status, tarball, errors = self.fetch()
        self.assertEqual((status, tarball), (1, ""))
        self.assertIn("linux-source-7.10 has no source", errors)


if __name__ == "__main__":
    harness.main()
