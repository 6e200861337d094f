#!/usr/bin/env python3
"""Random SPAPR scripts, and the fuzz corpus: the library answers as the real POWER kernel does."""

import sys
import unittest

import power
from power import harness

sys.path.insert(0, str(harness.HERE / "random_scripts"))
# pylint: disable=wrong-import-position
from comparison import Rule, arguments, check, play_on_software_host, write_scripts
from corpus_scripts import write_corpus_scripts
from spapr_writer import LARGE_PAGES, SpaprWriter

ARGUMENTS = arguments(scripts=140)
RULES = (
    Rule(
        "an IOVA that is not aligned: a positive value passes for success with who tests for < 0",
        "(map|unmap) ",
        "1( size=.*)?",
        "-1 EINVAL",
    ),
    Rule(
        "a page of the window larger than those of the memory is built from these",
        f"map .*{LARGE_PAGES}$",
        "-1 EINVAL",
        "0",
    ),
)


class RandomTest(unittest.TestCase):
    def test_the_library_answers_as_the_power_kernel(self):
        scripts = write_scripts(SpaprWriter, ARGUMENTS.seed, ARGUMENTS.scripts)
        scripts += write_corpus_scripts("spapr", ARGUMENTS.corpus)
        kernel = power.play(scripts)
        library = play_on_software_host(scripts, {"VFIO_COMPAT_CONTAINER": "spapr"})
        check(self, scripts, kernel, library, RULES)


if __name__ == "__main__":
    harness.main()
