#!/usr/bin/env python3
"""The command line on a real daemon, with a real program under the library."""

import json
import subprocess
import unittest
import xml.etree.ElementTree

import support


class CommandLineTest(unittest.TestCase):
    def setUp(self):
        folder = support.temporary_folder()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.daemon = support.Daemon(folder.name)
        self.addCleanup(self.daemon.stop)
        self.program = support.QemuIo(self.daemon, support.make_image(folder.name))
        self.addCleanup(self.program.kill)
        self.pid = self.program.process.pid
        # The program may be ready before it is known.
        self.tool("watch", "--from", 1, "--count", 1, "--kind", "opened")

    def tool(self, *arguments):
        return support.tool(self.daemon, *arguments)

    def json(self, *arguments):
        return json.loads(self.tool(*arguments, "--json"))

    def refused(self, *arguments):
        """What the command line says when it fails."""
        command, *rest = arguments
        result = subprocess.run(
            [support.TOOL, command, "--host", f"unix:{self.daemon.socket}", *map(str, rest)],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(result.stdout, "")
        self.assertRegex(result.stderr, r"\Avfio-compat: .*\n\Z")
        return result.stderr

    def test_ps_lists_sessions(self):
        (session,) = self.json("ps")["sessions"]
        self.assertEqual(session["pid"], self.pid)
        titles, row = self.tool("ps").splitlines()
        self.assertEqual(titles.split(), ["SESSION", "PID", "USER", "BACKEND", "AGE", "COMMAND"])
        self.assertRegex(row, rf"^{session['id']} +{self.pid}  root  soft +\d+s  qemu-io ")
        self.assertEqual(self.tool("ps", "-q"), session["id"] + "\n")

    def test_show_tells_of_one(self):
        text = self.tool("show", self.pid)
        self.assertIn(f"process {self.pid} of root", text)
        self.assertIn("container 1: type1,", text)
        self.assertIn(f"group 0: {support.ADDRESS}, in container 1", text)
        self.assertIn("aperture 0x0-", text)
        session = self.json("show", self.pid)
        self.assertEqual(session["pid"], self.pid)
        # The beginning of an id is as good.
        self.assertEqual(self.json("show", session["id"][:6])["id"], session["id"])

    def test_maps_and_translate_agree(self):
        lines = [line.split() for line in self.tool("maps", self.pid).splitlines()]
        self.assertEqual(len(lines), int(self.json("show", self.pid)["containers"][0]["mapping_count"]))
        span, access, address, pid = lines[0]
        first, last = (int(part, 16) for part in span.split("-"))
        self.assertEqual((access, pid), ("rw", str(self.pid)))
        translation = self.json("translate", self.pid, hex(first + 0x10))
        self.assertEqual(int(translation["user_address"]), int(address, 16) + 0x10)
        self.assertIn("leads to", self.tool("translate", self.pid, hex(first)))
        self.assertIn("translate", self.refused("translate", self.pid, hex(2**63)))
        only = self.tool("maps", self.pid, "--range", f"{hex(last)}-{hex(last)}").splitlines()
        self.assertEqual([line.split()[0] for line in only], [span])

    def test_find_says_what_is_free(self):
        first, last = (
            int(part, 16) for part in self.tool("maps", self.pid).split()[0].split("-")
        )
        found = self.json("find", self.pid, "--size", "64K", "--align", "2M", "--from", hex(first))
        start = int(found["range"]["first"])
        self.assertEqual(start % (2 << 20), 0)
        self.assertEqual(int(found["range"]["last"]), start + 0xFFFF)
        self.assertEqual(int(found["alignment"]), 2 << 20)
        # What is free begins behind what is mapped.
        self.assertGreater(int(found["free"]["ranges"][0]["first"]), last)
        lines = self.tool("find", self.pid, "--size", "64K", "--from", hex(first)).splitlines()
        self.assertRegex(lines[0], r"^0x\w+-0x\w+, aligned to 0x1000$")
        self.assertEqual(lines[1].split(), ["FREE", "SIZE"])
        # x86's interrupts are a hole.
        self.assertTrue(any(line.startswith("0xfef00000-0x") for line in lines), lines)
        self.assertIn("--to: 0", self.refused("find", self.pid, "--size", 1, "--to", 0))
        self.assertIn("size: 0", self.refused("find", self.pid, "--size", 0))

    def test_find_says_what_would_do(self):
        command = [support.TOOL, "find", "--host", f"unix:{self.daemon.socket}", str(self.pid)]
        command += ["--size", "1M", "--from", "0xfee00000", "--to", "0xfeffffff", "--json"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        command[command.index("1M")] = "0x100001"
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("; the largest that would do is 0xfef00000-0xfeffffff\n", result.stderr)
        self.assertEqual(result.stderr.count("size: "), 1)
        largest = json.loads(result.stdout)["free"]["largest"]
        self.assertEqual(int(largest["first"]), 0xFEF00000)

    def test_map_draws(self):
        picture = f"{self.folder}/map.svg"
        self.tool("map", self.pid, "--svg", picture)
        root = xml.etree.ElementTree.parse(picture).getroot()
        classes = [element.get("class") for element in root.iter()]
        self.assertIn("aperture", classes)
        self.assertIn("reserved", classes)
        self.assertIn("readwrite", classes)

    def test_watch_prints_events(self):
        lines = self.tool("watch", "--from", 1, "--count", 1, "--json").splitlines()
        self.assertEqual(json.loads(lines[0])["kind"], "KIND_OPENED")
        self.assertIn("expected one of", self.refused("watch", "--kind", "mopped"))

    def test_top_looks_again(self):
        text = self.tool("top", "--count", 2, "--interval", 0.2)
        tables = text.split("SESSION")[1:]
        self.assertEqual(len(tables), 2)
        self.assertIn("/s", tables[1])

    def test_freeze_and_thaw(self):
        self.assertEqual(
            self.tool("freeze", self.pid, "--dry-run"), f"would be frozen: {support.ADDRESS}\n"
        )
        self.assertEqual(self.tool("freeze", self.pid), f"frozen: {support.ADDRESS}\n")
        self.assertIn(", frozen", self.tool("show", self.pid))
        self.assertIn("was frozen already", self.tool("freeze", self.pid))
        self.tool("thaw", self.pid)
        self.assertNotIn("frozen", self.tool("show", self.pid))
        self.assertIn("read 4096/4096", self.program.do("read 0 4k"))

    def test_limits_are_shown(self):
        self.tool("limit", self.pid, "--bytes", "64M", "--allow", "0x0-0xffffffff")
        self.assertIn("limited to 64 MiB, 0x0-0xffffffff", self.tool("show", self.pid))
        self.tool("limit", self.pid)
        self.assertNotIn("limited", self.tool("show", self.pid))

    def test_unmap_and_revoke(self):
        mappings = self.tool("maps", self.pid).splitlines()
        span = mappings[-1].split()[0]
        first, last = ("0x" + part for part in span.split("-"))
        inside = hex(int(last, 16) - 1)
        self.assertIn("unmap", self.refused("unmap", self.pid, f"{first}-{inside}"))
        self.assertIn("1 mappings", self.tool("unmap", self.pid, f"{first}-{last}"))
        self.assertEqual(len(self.tool("maps", self.pid).splitlines()), len(mappings) - 1)
        self.tool("revoke", self.pid)
        self.assertIn(", revoked", self.tool("show", self.pid))

    def test_faults(self):
        self.assertEqual(self.tool("faults", self.pid), "0 faults\n")
        self.tool("faults", self.pid, "--inject", "0x10000-0x1ffff")
        self.assertIn("refused: 0x10000-0x1ffff", self.tool("faults", self.pid))
        self.tool("faults", self.pid, "--do", "restore")
        self.assertNotIn("refused", self.tool("faults", self.pid))

    def test_call_reaches_a_container_of_the_daemons(self):
        self.assertEqual(self.tool("call", "VFIO_GET_API_VERSION"), "0\n")
        info = self.tool("call", "VFIO_IOMMU_GET_INFO", "--type", "type1v2")
        self.assertTrue(info.startswith("0\n000000 "), info)
        self.assertIn("errno 25", self.tool("call", "VFIO_DEVICE_GET_INFO", "--type", "type1v2"))

    def test_what_is_wrong_is_said(self):
        self.assertIn("no session 0xyz:", self.refused("show", "0xyz"))
        self.assertIn("ends before it begins", self.refused("unmap", self.pid, "5-4"))
        self.assertIn("container", self.refused("maps", self.pid, "--container", 99))
        result = subprocess.run(
            [support.TOOL, "ps", "--host", "unix:/nonexistent/socket"],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(result.returncode, 1)
        self.assertIn("the daemon cannot be reached", result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
