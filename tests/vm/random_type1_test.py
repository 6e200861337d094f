#!/usr/bin/env python3
"""Random type 1 scripts, and the fuzz corpus: the library answers as the legacy kernel does."""

import pathlib
import sys
import unittest

import harness

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "random_scripts"))
# pylint: disable=wrong-import-position
from comparison import Rule, arguments, check, play_on_software_host, write_scripts
from corpus_scripts import write_corpus_scripts
from type1_writer import Type1Writer

ARGUMENTS = arguments(scripts=150)
RULES = (Rule("VFIO_TYPE1_NESTING_IOMMU was removed from later kernels", "ext .* 6$", "1", "0"),)


class RandomType1Test(unittest.TestCase):
    def test_the_library_answers_as_the_legacy_kernel(self):
        scripts = write_scripts(Type1Writer, ARGUMENTS.seed, ARGUMENTS.scripts)
        scripts += write_corpus_scripts("type1", ARGUMENTS.corpus)
        kernel = harness.play("legacy", scripts)
        library = play_on_software_host(scripts, {})
        check(self, scripts, kernel, library, RULES)


if __name__ == "__main__":
    harness.main()
