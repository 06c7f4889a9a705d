"""The tables in the program, and what the documents say of them, are the same.

The keys of the configuration have their own comparison in tests/unit/test_schema.c.
"""

import re
import subprocess

import pytest
from harness import BINARY, TOP

MAN8 = (TOP / "packaging/man/mta-stsd.8").read_text(encoding="utf-8")


def keys(run):
    """path -> default, as the program's reference says."""
    found = {}
    lines = run("help", "config").stdout.splitlines()
    for line in lines[::2]:
        match = re.fullmatch(r"([a-z_.*]+): .*?(?: \(default (.*)\))?", line)
        assert match, line
        found[match[1]] = match[2]
    return found


def test_every_default_is_accepted(run, write_config):
    """A configuration with every default written out is fine, and equal to one without."""
    text = "tenants:\n  example.org: {mode: testing, mx: [mx.example.org]}\n"
    for path, default in keys(run).items():
        if default and "." not in path and path != "listen":
            text += f"{path}: {default}\n"
    for section in ("records", "limits"):
        text += f"{section}:\n"
        for path, default in keys(run).items():
            if default and path.startswith(section + "."):
                text += f"  {path.split('.')[1]}: {default}\n"
    text += 'listen: [{address: "127.0.0.1:0", tls: off, proxy_protocol: off}]\n'
    done = run("check", "-c", write_config(text))
    assert done.returncode == 0, done.stdout + done.stderr


def test_table_of_keys_in_the_manual_is_made_from_the_program():
    """packaging/man/keys.py writes it anew."""
    done = subprocess.run([TOP / "packaging/man/keys.py", BINARY, "--check"], check=False)
    assert done.returncode == 0, "run packaging/man/keys.py build/release/mta-stsd"


def test_every_lint_is_in_the_manual(run):
    """mta-stsd(8) lists each lint with its severity, and no other."""
    lints = set(re.findall(r"^(\S+) \((\w+)\):", run("help", "lints").stdout, re.M))
    assert lints == set(re.findall(r"^\.It Li (\S+) Pq (\w+)$", MAN8, re.M))


def formats(run):
    """The names of the record formats, as the program's reference says."""
    return set(re.findall(r"^([a-z0-9-]+): ", run("help", "formats").stdout, re.M))


def test_every_command_and_format_is_in_the_manual(run):
    """Commands, in usage and manual; formats, in help and manual."""
    commands = set(re.findall(r"^  ([a-z]+) ", run("help").stdout, re.M))
    assert commands == set(re.findall(r"^\.Nm\n\.Cm ([a-z]+)", MAN8, re.M))
    section = MAN8.split(".Ss Record formats")[1].split(".El")[0]
    assert formats(run) == set(re.findall(r"^\.It Cm (\S+)$", section, re.M))


COMPLETIONS = TOP / "packaging/completions"


def complete_bash(*words):
    """What bash would offer for the last word."""
    script = (f'source "{COMPLETIONS}/mta-stsd.bash"; '
              'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mta_stsd; printf "%s\\n" "${COMPREPLY[@]}"')
    return ["bash", "-c", script, "bash", *words]


def complete_zsh(*words):
    """The same of zsh, whose line editor is left out: what is handed to it is printed."""
    script = ('compadd() { shift; print -l -- $@ }; _files() { ls }; '
              '_describe() { print -l -- ${${(P)2}%%:*} }; words=("$@"); CURRENT=$#; '
              f'source {COMPLETIONS}/_mta-stsd')
    return ["zsh", "-f", "-c", script, "zsh", *words]


def complete_fish(*words):
    line = " ".join(words[:-1]) + " " + words[-1]
    script = f'source {COMPLETIONS}/mta-stsd.fish; complete -C "{line}"'
    return ["fish", "--no-config", "-c", script]


@pytest.fixture(params=[complete_bash, complete_zsh, complete_fish], ids=["bash", "zsh", "fish"])
def complete(request, tmp_path):
    """complete("check", ""): what a shell offers for the last word, in a folder with one file."""
    (tmp_path / "file").touch()

    def offered(*words, program=BINARY):
        path = tmp_path / "bin"
        path.mkdir(exist_ok=True)
        if program and not (path / "mta-stsd").exists():
            (path / "mta-stsd").symlink_to(program)
        done = subprocess.run(request.param("mta-stsd", *words), stdout=subprocess.PIPE, text=True, check=False, cwd=tmp_path,
                              env={"PATH": f"{path}:/usr/bin:/bin", "HOME": str(tmp_path)})
        assert done.returncode in (0, 1)
        return {line.split("\t")[0] for line in done.stdout.splitlines() if line}

    return offered


def test_completions_are_those_of_the_table(run, complete):
    """Commands, options and words that shells complete are what the program has."""
    usage = run("help").stdout
    commands = dict(re.findall(r"^  ([a-z]+) +(.*)$", usage, re.M))
    assert complete("") == set(commands)
    for name, synopsis in commands.items():
        options = set(re.findall(r"--[a-z-]+", synopsis))
        options |= {"--config"} if "-c FILE" in synopsis else set()
        offered = {o for o in complete(name, "--") if o.startswith("--")}
        assert offered == options, name
        for option, words in re.findall(r"(--[a-z-]+) ([a-z|-]+)\]", synopsis):
            assert complete(name, option, "") == set(words.split("|")), option
    assert complete("records", "--format", "") == formats(run)
    assert complete("help", "") == {"config", "lints", "formats", "completion"}


def test_completions_of_files(complete):
    """Where a file or directory is meant, and nowhere else."""
    for words in (["check", "--config", ""], ["check", "-c", ""], ["lint", ""],
                  ["records", "--receipt", ""], ["import", "--zone-file", ""]):
        assert "file" in complete(*words), words
    for words in (["records", "--zone", ""], ["check", "--format", ""], ["help", ""]):
        assert "file" not in complete(*words), words
    assert complete("records", "--zone", "") == set()


def test_completions_without_the_program(complete):
    assert complete("records", "--format", "", program=None) == set()


def test_examples_are_accepted(run):
    """The committed examples have no error but the certificates that this machine lacks."""
    for name in ("mta-stsd.yaml", "minimal.yaml"):
        done = run("check", "-c", TOP / "config" / name)
        codes = set(re.findall(r"error: .*\[([a-z-]+)\]$", done.stderr, re.M))
        assert codes <= {"certificate-unreadable", "tenant-no-certificate"}, done.stderr
