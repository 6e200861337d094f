#!/usr/bin/env python3
"""The library on the newest kernel that Debian has a source of, and what only that can do."""

import unittest

import harness
from recordings import SCRIPTS, recorded, with_deviations

PEER_TO_PEER = harness.built("tests/programs/peer_to_peer")


class NewestTest(unittest.TestCase):
    maxDiff = None

    def test_answers_through_the_library_as_recorded(self):
        answers = harness.play("newest", SCRIPTS)
        expected = with_deviations(recorded())
        self.assertEqual(list(answers), list(expected))
        for script, lines in expected.items():
            with self.subTest(script):
                self.assertEqual(answers[script], lines)


class PeerToPeerTest(unittest.TestCase):
    """A disk reads and writes the memory of another controller."""

    ARRIVES = "the BAR: mapped\ninto it: right\nout of it: right\nunmapped: yes\n"

    def answers(self, kernel):
        memory = "nvme,serial=memory,cmb_size_mb=1,addr=10.0"
        return harness.run_job(
            *(kernel, "peer_to_peer_job.sh", "0000:00:10.0", "2"),
            *harness.under(kernel),
            PEER_TO_PEER,
            options=("--nvme", "64M", "--device", memory),
        )

    def test_on_legacy(self):
        self.assertEqual(self.answers("legacy"), self.ARRIVES)

    def test_on_newest_as_on_legacy(self):
        self.assertEqual(self.answers("newest"), self.ARRIVES)

    def test_on_iommufd_is_refused_for_it_has_no_dma_bufs_of_bars(self):
        self.assertEqual(self.answers("iommufd"), "the BAR: EFAULT\n")


if __name__ == "__main__":
    harness.main()
