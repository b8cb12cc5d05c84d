"""Fuzzes one target with atheris: `python -m tests.fuzz.harness TARGET [OPTION...] FOLDER...`

The options are libFuzzer's. New inputs that reach new code go to the first folder.
"""

import sys

import atheris

with atheris.instrument_imports(include=["serving"]):
    from tests.fuzz.target import TARGETS


def main() -> None:
    name, *options = sys.argv[1:]
    atheris.Setup([sys.argv[0], *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
