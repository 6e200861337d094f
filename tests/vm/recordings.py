"""What the type 1 scripts of tests/conformance answered when they were recorded."""

import re

import harness

CONFORMANCE = harness.HERE.parent / "conformance"
SCRIPTS = sorted(CONFORMANCE.glob("type1/*.vc"))


def recorded():
    """The recorded lines of every script by name."""
    return {script.stem: script.with_suffix(".out").read_text().splitlines() for script in SCRIPTS}


def with_deviations(expected):
    """The lines with those of deviations.txt in the place of what they deviate from."""
    changed = {script: list(lines) for script, lines in expected.items()}
    text = (CONFORMANCE / "deviations.txt").read_text(encoding="utf-8")
    for script, number, line in re.findall(r"^type1/(\S+) (\d+): (.*?) +# .*$", text, re.MULTILINE):
        label = f"{number:>4}| "
        lines = changed[script]
        lines[:] = [label + line if old.startswith(label) else old for old in lines]
    return changed
