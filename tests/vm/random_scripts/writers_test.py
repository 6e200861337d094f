#!/usr/bin/env python3
"""Random scripts can be had again, and no access of a SPAPR script runs past a window's end."""

import pathlib
import random
import re
import unittest

import comparison
import spapr_windows
from comparison import Difference, Rule, harness
from spapr_windows import Windows, can_create
from spapr_writer import SpaprWriter
from type1_writer import Type1Writer

CONFORMANCE = harness.HERE.parent / "conformance"
SCRIPTS = 200


def written(writer, seed):
    return [writer(random.Random(f"{seed} {index}")).write() for index in range(SCRIPTS)]


class WriterTest(unittest.TestCase):
    def test_a_seed_gives_the_same_scripts_again(self):
        for writer in (Type1Writer, SpaprWriter):
            self.assertEqual(written(writer, 1), written(writer, 1))
            self.assertNotEqual(written(writer, 1), written(writer, 2))

    def test_scripts_are_short_and_close_what_they_fork(self):
        for writer in (Type1Writer, SpaprWriter):
            for lines in written(writer, 1):
                self.assertLess(len(lines), 80)
                forks = [line for line in lines if line.endswith("fork")]
                self.assertEqual(forks, ["fork", "endfork"] * (len(forks) // 2))

    def test_every_call_is_written(self):
        common = {"api", "cfg", "close", "devinfo", "dup", "ext", "getdev", "gstatus", "irq", "map"}
        common |= {"open", "raw", "region", "setcontainer", "setiommu", "unmap", "unsetcontainer"}
        spapr = {"create", "disable", "eeh", "enable", "reg", "remove", "tceinfo", "unreg"}
        for writer, own in ((Type1Writer, {"dirty", "dirtyget", "t1info"}), (SpaprWriter, spapr)):
            commands = {line.split()[0] for lines in written(writer, 1) for line in lines}
            self.assertLessEqual(common | own, commands)


class WindowsTest(unittest.TestCase):
    def test_what_can_be_created_is_what_the_kernel_created(self):
        recording = (CONFORMANCE / "spapr/03-windows.out").read_text(encoding="utf-8")
        creation = r"create c 40 0 (\d+) (\d+)([KMG]?) (\d) => (0|-1 EINVAL)"
        creations = re.findall(creation, recording)
        self.assertGreater(len(creations), 8)
        for shift, size, suffix, levels, answer in creations:
            size = int(size) << {"": 0, "K": 10, "M": 20, "G": 30}[suffix]
            with self.subTest((shift, size, levels)):
                possible = can_create(int(shift), size, int(levels))
                self.assertIn(possible, (True, None) if answer == "0" else (False, None))

    def test_an_access_may_not_run_past_the_end_of_a_window(self):
        windows = Windows()
        windows.enable()
        self.assertTrue(windows.is_inside((2 << 30) - 4096, 4096))
        self.assertFalse(windows.is_inside((2 << 30) - 4096, 8192))
        self.assertTrue(windows.is_inside(2 << 30, 8192))

    def test_a_window_that_may_not_be_there_bounds_accesses_too(self):
        windows = Windows()
        second = spapr_windows.STARTS[1]
        windows.create(12, 4 << 30, 1)
        windows.create(12, 4 << 20, 1)
        self.assertEqual(len(windows.states), 2)
        self.assertFalse(windows.is_inside(second, 8 << 20))
        windows.remove(second)
        self.assertTrue(windows.is_inside(second, 8 << 20))

    def test_a_small_window_has_a_table_of_a_page(self):
        windows = Windows()
        windows.create(12, 4096, 1)
        self.assertTrue(windows.is_inside(spapr_windows.STARTS[1], 2 << 20))
        self.assertFalse(windows.is_inside(spapr_windows.STARTS[1], (2 << 20) + 4096))


class ComparisonTest(unittest.TestCase):
    def test_a_line_that_differs_is_found_and_explained_by_its_rule_alone(self):
        script = pathlib.Path(self.id())
        odd = Difference(script, "map c 32 3 $m 1 4K", "1", "-1 EINVAL")
        other = Difference(script, "map c 32 3 $m 0 4K", "0", "-1 EINVAL")
        rule = Rule("one is not an error", "map ", "1", "-1 EINVAL")
        self.assertEqual(comparison.unexplained([odd, other], [rule]), [other])
        self.assertIn("kernel:  0\n    library: -1 EINVAL", comparison.report([other]))

    def test_lines_without_a_number_belong_to_the_one_before(self):
        lines = ["   3| t1info c 4096 => 0", "       cap id=1", "   4| close c => 0"]
        expected = {3: "t1info c 4096 => 0\n       cap id=1", 4: "close c => 0"}
        self.assertEqual(comparison.numbered(lines), expected)


if __name__ == "__main__":
    harness.main()
