"""Golden cases: what `check` and `records` say about a configuration, byte by byte.

tests/fixtures/NNN-name/ holds mta-stsd.yaml (and what it includes) and
  expected.txt      standard output, then standard error, of `check -c mta-stsd.yaml`
  expected.exit     its exit code
  expected.records  optional: `records --format bind`, each id replaced by ID
  certs             optional: lines of arguments for make-certs.sh, run in the case's folder
UPDATE_FIXTURES=1 writes what is said now; read the difference before committing it.
"""

import os
import re
import shlex
import shutil

import pytest
from harness import TOP

FIXTURES = TOP / "tests" / "fixtures"
CASES = sorted(p.name for p in FIXTURES.iterdir() if p.is_dir()) if FIXTURES.exists() else []
GENERATED = ("expected.*", "certs")


def compare(case, name, actual):
    path = FIXTURES / case / name
    if os.environ.get("UPDATE_FIXTURES"):
        path.write_text(actual)
    assert actual == path.read_text(), f"{path} differs; UPDATE_FIXTURES=1 writes it anew"


@pytest.fixture
def folder(request, tmp_path, certs):
    """A scratch copy of the case, certificates made."""
    source = FIXTURES / request.param
    copy = tmp_path / request.param
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns(*GENERATED))
    if (source / "certs").exists():
        for line in (source / "certs").read_text().splitlines():
            *options, out, name = shlex.split(line, comments=True)
            certs.make(name, options=options, folder=copy / out)
    return copy


@pytest.mark.parametrize("folder", CASES, indirect=True)
def test_check(folder, run):
    done = run("check", "-c", "mta-stsd.yaml", cwd=folder)
    compare(folder.name, "expected.txt", done.stdout + done.stderr)
    compare(folder.name, "expected.exit", f"{done.returncode}\n")


@pytest.mark.parametrize(
    "folder", [c for c in CASES if (FIXTURES / c / "expected.records").exists()], indirect=True
)
def test_records(folder, run):
    config = folder / "mta-stsd.yaml"
    if not re.search(r"^ledger:", config.read_text(), re.M):
        with config.open("a") as out:
            out.write("\nledger: ledger.db\n")
    done = run("records", "-c", "mta-stsd.yaml", "--format", "bind", cwd=folder)
    assert done.returncode == 0, done.stderr
    records = re.sub(r"(v=STSv1; id=)[0-9A-Za-z]{1,32};", r"\1ID;", done.stdout)
    compare(folder.name, "expected.records", records)


@pytest.mark.skipif(not CASES, reason="no cases")
def test_half_of_the_cases_are_mistakes():
    assert len(CASES) >= 60
    mistakes = [c for c in CASES if (FIXTURES / c / "expected.exit").read_text().strip() != "0"]
    assert len(mistakes) * 2 >= len(CASES)
