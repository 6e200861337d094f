#!/usr/bin/env python3
"""The SPAPR recordings of tests/conformance are what the real POWER kernel answers."""

import unittest

import power
from power import harness

SCRIPTS = sorted((harness.HERE.parent / "conformance/spapr").glob("*.vc"))


class RecordingsTest(unittest.TestCase):
    maxDiff = None

    def test_the_kernel_answers_as_recorded(self):
        answers = power.play(SCRIPTS)
        self.assertEqual(list(answers), [script.stem for script in SCRIPTS])
        for script in SCRIPTS:
            with self.subTest(script.stem):
                recorded = script.with_suffix(".out").read_text(encoding="utf-8")
                self.assertEqual(answers[script.stem], recorded.splitlines())


if __name__ == "__main__":
    harness.main()
