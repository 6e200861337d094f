#!/usr/bin/env python3
"""Where tests/vm/power/fetch looks, what it keeps, and what is left where it fails."""

import os
import shutil
import subprocess

import power
from power import harness
from fake_archive import ArchiveTest

MODULES = [
    *("nvme-auth.ko", "nvme-core.ko", "nvme.ko"),
    *("vfio-pci-core.ko", "vfio-pci.ko", "vfio.ko", "vfio_iommu_spapr_tce.ko"),
]


class FetchTest(ArchiveTest):
    command = power.HERE / "fetch"
    archive = {
        "SUITES": "bookworm bookworm-backports trixie",
        "FOUND": "linux-image-6.12.9-powerpc64le - Linux",
        "VERSION": "6.12.9-1",
        "FILES": "linux-image-6.12.9-powerpc64le_1.deb busybox-static_1.deb",
    }

    def setUp(self):
        super().setUp()
        self.package()

    def package(self):
        """What both packages unpack to."""
        for name in ("bin/busybox", "boot/vmlinux-6.12.9", *(f"lib/{name}.xz" for name in MODULES)):
            path = self.folder / "package" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
            if path.suffix == ".xz":
                path.with_suffix("").write_text(name)
                subprocess.run(["xz", "-f", path.with_suffix("")], check=True)

    def assert_is_of(self, version, folder):
        """That `folder` is the one of this version."""
        self.assertRegex(folder, f"^{self.cache}/power-{version}-[0-9a-f]{{8}}$")

    def test_what_the_guest_needs_is_fetched_once(self):
        status, folder, errors = self.fetch()
        self.assertEqual(status, 0, errors)
        self.assert_is_of("6.12.9-1", folder)
        self.assertEqual(sorted(os.listdir(folder)), ["busybox", *MODULES, "vmlinux"])
        self.assertEqual(self.fetch(), (0, folder, ""))
        backports = "http://debian/ bookworm-backports main, http://debian/ bookworm main"
        self.assertEqual(self.happened(), [f"update {backports}", "download"])

    def test_a_mirror_without_backports_has_the_next_release(self):
        status, _, errors = self.fetch(SUITES="bookworm trixie")
        self.assertEqual(status, 0, errors)
        self.assertEqual(self.happened()[1:], ["update http://debian/ trixie main", "download"])

    def test_a_newer_kernel_is_fetched_when_asked_for(self):
        self.fetch()
        self.assert_is_of("6.12.9-1", self.fetch(VERSION="6.12.10-1")[1])
        status, newer, _ = self.fetch("--newest", VERSION="6.12.10-1")
        self.assertEqual(status, 0)
        self.assert_is_of("6.12.10-1", newer)
        self.assertEqual(self.fetch()[:2], (0, newer))

    def test_what_was_fetched_with_other_modules_is_another_kernel(self):
        self.fetch()
        folder = next(self.cache.glob("power-6*"))
        folder.rename(folder.with_name("power-6.12.9-1-00000000"))
        self.assertEqual(self.fetch("--cached")[0], 1)
        self.assertEqual(self.fetch()[1], str(folder))

    def test_no_archive_with_such_a_kernel_is_told_apart(self):
        for environment in ({"SUITES": ""}, {"FOUND": ""}):
            with self.subTest(environment):
                status, folder, errors = self.fetch(**environment)
                self.assertEqual((status, folder), (harness.LACKING, ""))
                self.assertIn("no archive that apt knows here", errors)
        self.assertIn("update http://other/ trixie main", self.happened())

    def test_a_fetch_that_fails_leaves_no_kernel(self):
        status, folder, errors = self.fetch(WHILE_FETCHING="echo why; exit 100")
        self.assertEqual((status, folder), (1, ""))
        self.assertIn("why", errors)
        self.assertEqual(self.fetch("--cached")[0], 1)
        self.assertEqual(self.fetch()[0], 0)

    def test_a_package_without_a_module_is_refused(self):
        (self.folder / "package/lib/vfio-pci.ko.xz").unlink()
        status, folder, errors = self.fetch()
        self.assertEqual((status, folder), (1, ""))
        self.assertIn("has no module vfio-pci", errors)

    def test_a_machine_without_apt_is_told_apart(self):
        empty = self.folder / "empty"
        empty.mkdir()
        for tool in ("bash", "cut", "dirname", "flock", "mkdir", "sha256sum", "sort", "tail"):
            (empty / tool).symlink_to(shutil.which(tool))
        status, _, errors = self.fetch(PATH=str(empty))
        self.assertEqual(status, harness.LACKING)
        self.assertIn("apt-get is missing", errors)


if __name__ == "__main__":
    harness.main()
