"""The scripts that the fuzz corpora are: what fuzzing found to differ in the library's code.

//fuzz/sequence makes them of its inputs, without what a real kernel does not survive.
"""

import pathlib

from comparison import harness, scripts_folder

HEADING = "# script "


def split(text):
    """The scripts of one file, by name."""
    scripts = {}
    for part in text.split(HEADING)[1:]:
        name, _, lines = part.partition("\n")
        scripts[name] = lines
    return scripts


def write_corpus_scripts(kind, most):
    """Writes at most so many scripts of `kind` to a folder that remains; returns their files."""
    text = harness.built(f"fuzz/sequence/{kind}_kernel_scripts.txt").read_text(encoding="utf-8")
    scripts = split(text)
    # The longest do most.
    names = sorted(scripts, key=lambda name: (-scripts[name].count("\n"), name))[:most]
    files = []
    for index, name in enumerate(sorted(names)):
        file = pathlib.Path(scripts_folder(), f"corpus-{index:04}.vc")
        file.write_text(f"# {name}\n{scripts[name]}", encoding="utf-8")
        files.append(file)
    print(f"{len(files)} of {len(scripts)} scripts of the corpus, in {scripts_folder()}")
    return files
