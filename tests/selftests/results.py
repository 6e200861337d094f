"""Tables of the outcomes of tests, and lists of tests with reasons.

A line of a table is `PROGRAM/NAME OUTCOME OPERATIONS  # WHY`: the outcome is passed, failed or
skipped, the operations are those of IOMMU_TEST_CMD that the test asked for, or `-`, and what
explains the outcome is there where something does. A line of a list is `PATTERN  # REASON`; the
pattern is as a shell's.
"""

import collections
import fnmatch
import re
import typing

# What tests ask for because of how they begin and end: that the limit of memory is the usual one,
# and that no page is left pinned.
OF_FIXTURES = {"MD_CHECK_REFS", "SET_TEMP_MEMORY_LIMIT"}

LEFT_OUT = "left out: "


class Result(typing.NamedTuple):
    outcome: str
    operations: tuple
    why: str

    def needs_operations(self):
        """Whether the test itself asks for operations, beside its beginning and end."""
        return bool(set(self.operations) - OF_FIXTURES)

    def is_left_out(self):
        return self.why.startswith(LEFT_OUT)


def left_out(reason):
    return Result("skipped", (), LEFT_OUT + reason)


def line(name, result):
    why = f"  # {result.why}" if result.why else ""
    return f"{name} {result.outcome} {','.join(result.operations) or '-'}{why}"


def parse(text):
    """The results of a table by name."""
    found = re.findall(r"^(\S+/\S+) (\w+) (\S+)(?: +# (.*))?$", text, re.MULTILINE)
    return {
        name: Result(outcome, () if operations == "-" else tuple(operations.split(",")), why)
        for name, outcome, operations, why in found
    }


def counts(table):
    """A line for each program: how many of its tests passed, failed and were skipped."""
    programs = collections.defaultdict(collections.Counter)
    for name, result in table.items():
        programs[name.partition("/")[0]][result.outcome] += 1
    return [
        f"{program}: {count['passed']} passed, {count['failed']} failed, "
        f"{count['skipped']} skipped, of {sum(count.values())}"
        for program, count in programs.items()
    ]


class Reasons:
    """A list of patterns with reasons, which knows which of them were of use."""

    def __init__(self, text):
        lines = re.findall(r"^(\S+) +# (.+)$", text, re.MULTILINE)
        self.reasons = {pattern: reason for pattern, reason in lines if pattern != "#"}
        self.unused = set(self.reasons)

    @classmethod
    def read(cls, path):
        return cls(path.read_text(encoding="utf-8"))

    def of(self, name):
        """The reason of the first pattern that fits a name, or None."""
        for pattern, reason in self.reasons.items():
            if fnmatch.fnmatchcase(name, pattern):
                self.unused.discard(pattern)
                return reason
        return None
