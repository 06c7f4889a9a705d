#!/usr/bin/python3
"""Writes the table of all keys into mta-stsd.yaml.5, from what the program itself says.

    packaging/man/keys.py PROGRAM          rewrites the part between the two marks
    packaging/man/keys.py PROGRAM --check  exit code 1 when that would change it
"""

import pathlib
import re
import subprocess
import sys

PAGE = pathlib.Path(__file__).with_name("mta-stsd.yaml.5")
BEGIN = '.\\" --- made by keys.py from here ---\n'
END = '.\\" --- to here ---\n'


def escape(text):
    """One argument of an mdoc macro."""
    text = text.replace("\\", "\\e").replace('"', "\\(dq")
    return f'"{text}"' if " " in text else text


def rows(program):
    """(key, type, default) in the order of the schema."""
    said = subprocess.run([program, "help", "config"], check=True, capture_output=True, text=True)
    for line in said.stdout.splitlines()[::2]:
        yield re.fullmatch(r"(\S+): (.*?)(?: \(default (.*)\))?", line).groups(default="")


def table(program):
    lines = ['.Bl -column "records.caa.*.account_uri" "list of mailto: or https: URIs" "Default"\n',
             ".It Sy Key Ta Sy Type Ta Sy Default\n"]
    for key, kind, default in rows(program):
        lines.append(f".It Ic {key} Ta {escape(kind)} Ta {escape(default)}".rstrip() + "\n")
    return "".join([*lines, ".El\n"])


def main(program, *options):
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    made = before + BEGIN + table(program) + END + after
    if options == ("--check",):
        return made != page
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
