#!/usr/bin/env python3
"""Plays the type 1 recordings on real kernels.

The legacy kernel has to answer as recorded, line for line: that shows that the guest is what the
recordings were made on. How much of it the kernel's own compatibility code repeats is printed, for
comparison.

Usage: reference_test.py VCONF
"""

import os
import sys
import unittest

import harness

RECORDINGS = harness.HERE.parent / "conformance/type1"
VCONF = os.path.abspath(sys.argv[1])


def recorded():
    """The recorded lines of every script by name."""
    scripts = sorted(RECORDINGS.glob("*.vc"))
    return {script.stem: script.with_suffix(".out").read_text().splitlines() for script in scripts}


def agreeing(lines, expected):
    """How many of the expected lines are there. Each has the number of its place."""
    return len(set(lines) & set(expected))


class ReferenceTest(unittest.TestCase):
    maxDiff = None

    def test_the_legacy_kernel_answers_as_recorded(self):
        expected = recorded()
        answers = harness.play("legacy", RECORDINGS, VCONF)
        self.assertEqual(list(answers), list(expected))
        for script, lines in expected.items():
            with self.subTest(script):
                self.assertEqual(answers[script], lines)

    def test_how_much_the_kernels_own_compatibility_repeats(self):
        expected = recorded()
        answers = harness.play("compat", RECORDINGS, VCONF)
        same = sum(agreeing(answers[script], lines) for script, lines in expected.items())
        total = sum(map(len, expected.values()))
        print(f"The kernel's compatibility code: {same} of {total} lines, {same / total:.1%}")
        self.assertGreater(same, 0)


if __name__ == "__main__":
    harness.main()
