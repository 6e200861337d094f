"""Plays random scripts on a real kernel and under the library, and compares what they answer.

The command line of a test that calls `arguments` may say --seed=N, --scripts=N and --corpus=N:
bazel test TARGET --test_arg=--seed=N.
"""

import argparse
import functools
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import typing

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # pylint: disable=wrong-import-position

LIBRARY = "compat/preload/libvfio_compat.so"
VCONF = "tests/conformance/vconf"
SHOWN = 20  # scripts of which the differences are printed


class Rule(typing.NamedTuple):
    """A difference that is wanted: regular expressions of a line, from its command's start."""

    reason: str
    command: str  # with its comment in the script
    kernel: str
    library: str

    def explains(self, command, kernel, library):
        return (
            re.match(self.command, command)
            and re.fullmatch(self.kernel, kernel)
            and re.fullmatch(self.library, library)
        )


class Difference(typing.NamedTuple):
    script: pathlib.Path
    command: str
    kernel: str
    library: str


def arguments(scripts):
    """The seed and the number of scripts, of which there are `scripts` unless it is said."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scripts", type=int, default=scripts)
    parser.add_argument("--corpus", type=int, default=200, help="scripts of the corpus at most")
    return parser.parse_args()


@functools.cache
def scripts_folder():
    """A folder that remains."""
    return os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR") or tempfile.mkdtemp()


def write_scripts(writer, seed, count):
    """Writes random scripts to a folder that remains; returns their files."""
    folder = scripts_folder()
    print(f"seed {seed}, {count} scripts, in {folder}")
    files = []
    for index in range(count):
        file = pathlib.Path(folder, f"{index:04}.vc")
        lines = writer(random.Random(f"{seed} {index}")).write()
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        files.append(file)
    return files


def play_on_software_host(scripts, environment):
    """Plays scripts under the library on a host of one emulated device, each on one of its own."""
    answers = {}
    with tempfile.NamedTemporaryFile() as image:
        image.truncate(1 << 20)
        device = f"nvme,addr=0000:00:03.0,group=0,image={image.name}"
        environment = {
            **os.environ,
            "LD_PRELOAD": str(harness.built(LIBRARY)),
            "VFIO_COMPAT_BACKEND": "soft",
            "VFIO_COMPAT_DEVICES": device,
            "GROUP": "0",
            "BDF": "0000:00:03.0",
            **environment,
        }
        for script in scripts:
            result = subprocess.run(
                [harness.built(VCONF), script],
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            if "cannot be preloaded" in result.stderr:
                raise AssertionError(result.stderr)
            answers[script.stem] = result.stdout.splitlines()
            if result.returncode:
                answers[script.stem].append(f"vconf ended with status {result.returncode}")
                print(f"{script}: {result.stderr}")
    return answers


def numbered(lines):
    """What was printed by the number of the script's line."""
    answers, number = {}, 0
    for line in lines:
        label = re.match(r" *(\d+)\| ", line)
        number = int(label[1]) if label else number
        text = line[label.end() :] if label else "\n" + line
        answers[number] = answers.get(number, "") + text
    return answers


def differences(scripts, kernel, library):
    """The lines that are not answered alike."""
    found = []
    for script in scripts:
        here, there = numbered(kernel[script.stem]), numbered(library[script.stem])
        commands = script.read_text(encoding="utf-8").splitlines()
        for number in sorted({*here, *there}):
            pair = [answers.get(number, "nothing") for answers in (here, there)]
            if pair[0] != pair[1]:
                if all(answer.startswith(pair[0].partition(" => ")[0]) for answer in pair):
                    pair = [answer.partition(" => ")[2] for answer in pair]
                found.append(Difference(script, commands[number - 1], *pair))
    return found


def check(test, scripts, kernel, library, rules):
    """Fails unless the scripts are answered alike, apart from what the rules explain.

    Leaves the answers beside the scripts.
    """
    test.assertEqual(list(kernel), [script.stem for script in scripts])
    for who, answers in (("kernel", kernel), ("library", library)):
        for script in scripts:
            text = "".join(f"{line}\n" for line in answers[script.stem])
            script.with_suffix(f".{who}").write_text(text, encoding="utf-8")
    rest = unexplained(differences(scripts, kernel, library), rules)
    count = sum(map(len, kernel.values()))
    print(f"{count} lines, {len(rest)} differ and should not")
    if rest:
        test.fail(report(rest))


def unexplained(found, rules):
    """The differences that no rule explains; prints how many each one does."""
    rest = list(found)
    for rule in rules:
        left = [each for each in rest if not rule.explains(*each[1:])]
        print(f"{len(rest) - len(left)} differences wanted: {rule.reason}")
        rest = left
    return rest


def report(rest):
    """What a reader wants to know of differences."""
    lines = []
    for script in list(dict.fromkeys(each.script for each in rest))[:SHOWN]:
        lines.append(str(script))
        for each in rest:
            if each.script == script:
                lines.append(f"  {each.command}")
                lines.append(f"    kernel:  {each.kernel}\n    library: {each.library}")
    return "\n".join(lines)
