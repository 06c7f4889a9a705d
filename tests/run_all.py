#!/usr/bin/python3 -B
"""Runs the stages of `make test` (full) or `make check` (quick) and adds up what passed.

Each stage's whole output is in build/test-log/; the end of it is shown when the stage fails. The
last one says what the others changed on the machine, which is nothing (machine.py).
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import time

from machine import PLACES, Machine

TOP = pathlib.Path(__file__).resolve().parents[1]
LOGS = TOP / "build" / "test-log"
CPUS = os.cpu_count() or 1
NO_TESTS = 5  # pytest: all of them were deselected
PYTEST = ["/usr/bin/python3", "-B", "-m", "pytest", "-p", "no:cacheprovider", "-q"]

# What the stages print about themselves: cmocka, pytest, the replay of a corpus.
COUNTS = {
    "passed": [r"^\[  PASSED  \] (\d+) test", r"\b(\d+) passed\b", r": (\d+) inputs passed$"],
    "failed": [r"^\[  FAILED  \] (\d+) test", r"\b(\d+) failed\b", r"\b(\d+) errors?\b in "],
    "skipped": [r"^\[  SKIPPED \] (\d+) test", r"\b(\d+) skipped\b"],
}
ODD = re.compile(r"^\[  (FAILED|ERROR)|^\[   LINE|ERROR: |WARNING: ThreadSanitizer|: error: ")


def make(build, *targets):
    return [["make", "--no-print-directory", f"-j{CPUS}", f"BUILD={build}", *targets]]


def integration(build, *arguments):
    """One command a file, the large ones first: each has name spaces of its own, so that as many
    run at a time as there are processors."""
    files = sorted((TOP / "tests/integration").glob("test_*.py"), key=lambda f: -f.stat().st_size)
    command = ["env", f"MTA_STSD=build/{build}/mta-stsd", "tests/integration/run"]
    return [[*command, *arguments, file.name] for file in files]


QUICK = [
    ("build release", make("release", "everything")),
    ("unit release", make("release", "unit")),
    ("layers", make("release", "layers")),
    ("layers self-test", [[*PYTEST, "tests/layers"]]),
    ("machine self-test", [[*PYTEST, "tests/test_machine.py"]]),
    ("integration quick", integration("release", "-m", "not slow")),
]
FULL = [
    *QUICK[:-1],
    ("integration release", integration("release")),
    ("build asan", make("asan", "everything")),
    ("unit asan", make("asan", "unit")),
    ("fuzz replay asan", make("asan", "replay")),
    ("integration asan", integration("asan", "-m", "not once")),
    ("build tsan", make("tsan", "everything")),
    ("unit tsan", make("tsan", "unit")),
    ("integration tsan", integration("tsan", "-m", "threads")),
]


def count(kind, output):
    """The sum of all totals of `kind` in a stage's output."""
    total = 0
    for pattern in COUNTS[kind]:
        total += sum(int(n) for n in re.findall(pattern, output, re.M))
    return total


def execute(command):
    """(ok, output)"""
    done = subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    deselected = "tests/integration/run" in command and done.returncode == NO_TESTS
    return done.returncode == 0 or deselected, done.stdout.decode(errors="replace")


def run(name, commands):
    """Runs one stage; (ok, passed, failed, skipped)."""
    print(f"{name:22}", end="", flush=True)
    start = time.monotonic()
    log = LOGS / (name.replace(" ", "-") + ".log")
    with concurrent.futures.ThreadPoolExecutor(CPUS) as pool:
        results = list(pool.map(execute, commands))
    output = "".join(text for _, text in results)
    log.write_text(output)
    ok = all(good for good, _ in results)
    passed, failed, skipped = (count(kind, output) for kind in ("passed", "failed", "skipped"))
    if not ok:
        failed = max(failed, 1)
    numbers = f"{passed:6} passed {failed:4} failed" if passed or failed else "    ok"
    if skipped:
        numbers += f" {skipped:4} skipped"
    print(f"{numbers}   {time.monotonic() - start:6.1f} s", flush=True)
    if not ok:
        for _, text in filter(lambda result: not result[0], results):
            lines = text.splitlines()
            # Of many programs that ran one after the other, the one that failed may be far above.
            print(*[line for line in lines[:-60] if ODD.search(line)][:20], *lines[-60:], sep="\n")
        print(f"--- {name} failed; all of it: {log.relative_to(TOP)}\n", flush=True)
    return ok, passed, failed, skipped


def report(differences):
    """The last stage, whose work is done: like run()."""
    (LOGS / "machine.log").write_text("".join(f"{line}\n" for line in differences))
    print(f"{'machine':22}" + (f"{0:6} passed {1:4} failed" if differences else "    ok"))
    print(*differences[:60], sep="\n", end="\n" * bool(differences))
    return not differences, 0, int(bool(differences)), 0


def main():
    stages = FULL if sys.argv[1:] == ["full"] else QUICK
    os.environ.pop("MAKEFLAGS", None)
    os.environ.pop("MAKELEVEL", None)
    machine = Machine(TOP / "build/machine", PLACES)
    LOGS.mkdir(parents=True, exist_ok=True)
    for old in LOGS.glob("*.log"):
        old.unlink()
    start = time.monotonic()
    results, differences = machine.run(lambda: [run(*stage) for stage in stages])
    _, passed, failed, skipped = (sum(column) for column in zip(*results, report(differences)))
    also = f", {skipped} skipped" if skipped else ""
    print(f"{passed} passed, {failed} failed{also} in {time.monotonic() - start:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
