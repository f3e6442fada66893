#!/usr/bin/env python3
"""Says whether events are what their schema says: `aegisbpf event validate`, file by file.

AEGIS_BIN names the binary, which holds the schema. Exit status: 0 all are valid, 65 some are not, or that of the
command where it could not tell.
"""

import argparse
import os
import pathlib
import subprocess
import sys

INVALID = 65
NOT_STARTED = 74
SUFFIXES = {".json", ".jsonl", ".ndjson"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", help="events, a JSON object a line; - is standard input")
    parser.add_argument("--event", action="append", default=[], metavar="FILE", help="the same")
    parser.add_argument("--samples", type=pathlib.Path, metavar="DIR", help="every .json, .jsonl and .ndjson file in it")
    parser.add_argument("--schema", metavar="FILE", help="accepted, and of no effect: the binary holds the schema")
    return parser, parser.parse_args()


def chosen(parser, args):
    files = args.files + args.event
    if args.samples:
        if not args.samples.is_dir():
            parser.error(f"{args.samples} is no directory")
        found = sorted(str(path) for path in args.samples.iterdir() if path.suffix in SUFFIXES)
        if not found:
            # Nothing looked at is not the same as nothing wrong.
            parser.error(f"there are no events in {args.samples}")
        files += found
    return files or ["-"]


def main():
    parser, args = arguments()
    binary = os.environ.get("AEGIS_BIN", "aegisbpf")
    worst = 0
    for name in chosen(parser, args):
        # A name that begins with a dash is a name all the same.
        name = f"./{name}" if name.startswith("-") and name != "-" else name
        try:
            code = subprocess.run([binary, "event", "validate", name], check=False).returncode
        except OSError as error:
            print(f"{binary}: {error.strerror}; AEGIS_BIN names the binary", file=sys.stderr)
            return NOT_STARTED
        # What could not be told weighs more than what is invalid.
        if code and (worst in (0, INVALID)):
            worst = code if code > 0 else NOT_STARTED
    return worst


if __name__ == "__main__":
    sys.exit(main())
