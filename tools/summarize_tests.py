#!/usr/bin/env python3
"""Counts the test cases of one `bazel test`, from the event file it was told to write.

Prints `PASSED FAILED SKIPPED` on standard output, and what failed and was skipped, with the reason
of each skip, on standard error. A GoogleTest program counts with its cases, any other test as one;
a test whose log has a line `N passed, N failed, N skipped` counts as that line says, and explains
itself with lines `skipped: NAME: REASON` and `failed: NAME: REASON`. What a failure printed last
follows it.
"""

import json
import re
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree

FAILURE_LINES = 25
SUMMARY_LINE = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)


class Counts:
    """The three figures, and the lines that explain the second and the third."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.details = []

    def fail(self, name, reason):
        self.failed += 1
        self.explain(f"failed: {name}", reason)

    def explain(self, what, output):
        lines = output.strip().splitlines()[-FAILURE_LINES:]
        self.details += [f"  {what}"] + [f"      {line}" for line in lines]

    def skip(self, name, reason):
        self.skipped += 1
        self.details.append(f"  skipped: {name}: {reason}")


def read_events(path):
    with open(path, encoding="utf-8") as events:
        return [json.loads(line) for line in events]


def output_path(result, name):
    """Where the output `name` of a test lies, or None."""
    for output in result.get("testActionOutput", []):
        if output["name"] == name:
            return urllib.parse.unquote(urllib.parse.urlparse(output["uri"]).path)
    return None


def read_text(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as text:
            return text.read()
    except (OSError, TypeError):
        return ""


def skip_reason(case):
    """What a test said when it skipped: GoogleTest puts the place before it."""
    message = case.find("skipped").get("message") or case.find("skipped").text or "gave no reason"
    lines = [line for line in message.splitlines() if not re.match(r"^\S+\.cc:\d+$", line)]
    return " ".join(lines).strip() or "gave no reason"


def count_cases(counts, label, path, log):
    """Counts the cases of a test.xml. Returns False if it has none."""
    try:
        cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    except (ElementTree.ParseError, OSError, TypeError):
        return False
    for case in cases:
        name = f"{label} {case.get('classname', '')}.{case.get('name')}"
        failures = case.findall("failure") + case.findall("error")
        if failures:
            counts.fail(name, "\n".join(failure.text or log for failure in failures))
        elif case.find("skipped") is not None:
            counts.skip(name, skip_reason(case))
        elif case.get("status") == "notrun":
            counts.skip(name, "disabled")
        else:
            counts.passed += 1
    return bool(cases)


def count_test(counts, label, result):
    """Counts one run of one test."""
    failed_before = counts.failed
    log = read_text(output_path(result, "test.log"))
    summaries = SUMMARY_LINE.findall(log)
    if summaries:
        passed, failed, skipped = map(int, summaries[-1])
        counts.passed += passed
        counts.failed += failed
        counts.skipped += skipped
        reasons = re.findall(r"^(skipped|failed): (.*)$", log, re.MULTILINE)
        counts.details += [f"  {outcome}: {label} {reason}" for outcome, reason in reasons]
        if failed:
            counts.explain("it printed last:", log)
    elif not count_cases(counts, label, output_path(result, "test.xml"), log):
        if result["status"] == "PASSED":
            counts.passed += 1
    # A crash or a timeout leaves no failed case behind.
    if result["status"] not in ("PASSED", "FLAKY") and counts.failed == failed_before:
        counts.fail(label, f"{log}\n{result['status'].lower()}")


def count_event(counts, event):
    identity = event["id"]
    if "testResult" in identity:
        count_test(counts, identity["testResult"]["label"], event["testResult"])
    elif "targetCompleted" in identity and not event.get("completed", {}).get("success"):
        label = identity["targetCompleted"]["label"]
        # A test that ran and failed is counted by its result.
        if "testResult" not in str(event.get("children", "")):
            counts.fail(label, "does not build")


def main():
    counts = Counts()
    for event in read_events(sys.argv[1]):
        count_event(counts, event)
    for line in counts.details:
        print(line, file=sys.stderr)
    print(counts.passed, counts.failed, counts.skipped)


if __name__ == "__main__":
    main()
