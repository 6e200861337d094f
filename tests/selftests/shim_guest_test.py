#!/usr/bin/env python3
"""As shim_test, in the guest: it has the huge pages and the capabilities that some tests need."""

import sys

import verdicts


def main():
    # Built here, where it stays.
    verdicts.built_folder()
    result = verdicts.in_guest([verdicts.HERE / "shim_test.py"])
    print(result.stderr, result.stdout, sep="", end="")
    sys.exit(result.returncode)


if __name__ == "__main__":
    main()
