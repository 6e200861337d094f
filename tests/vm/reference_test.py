#!/usr/bin/env python3
"""Plays the type 1 scripts of tests/conformance on real kernels.

The legacy kernel has to answer as recorded, line for line: that shows that the guest is what the
recordings were made on. The library on the kernel without groups has to answer as the legacy kernel
just did, but for the lines of deviations.txt. How much of it the kernel's own compatibility code
repeats is printed, for comparison.
"""

import functools
import unittest

import harness
from recordings import SCRIPTS, recorded, with_deviations


@functools.cache
def answers(kernel):
    """The lines that a kernel answers by script, through the library where it has no groups."""
    return harness.play(kernel, SCRIPTS)


def agreeing(lines, expected):
    """How many of the expected lines are there. Each has the number of its place."""
    return len(set(lines) & set(expected))


class ReferenceTest(unittest.TestCase):
    maxDiff = None

    def check(self, kernel, expected):
        self.assertEqual(list(answers(kernel)), list(expected))
        for script, lines in expected.items():
            with self.subTest(script):
                self.assertEqual(answers(kernel)[script], lines)

    def test_legacy_answers_as_recorded(self):
        self.check("legacy", recorded())

    def test_iommufd_answers_through_the_library_as_legacy_does(self):
        self.check("iommufd", with_deviations(answers("legacy")))

    def test_how_much_compat_repeats_of_legacy(self):
        expected = answers("legacy")
        same = sum(agreeing(answers("compat")[script], lines) for script, lines in expected.items())
        total = sum(map(len, expected.values()))
        print(f"The kernel's compatibility code: {same} of {total} lines, {same / total:.1%}")
        self.assertGreater(same, 0)


if __name__ == "__main__":
    harness.main()
