"""The tables in the program, and what the documents say of them, are the same.

The keys of the configuration have their own comparison in tests/unit/test_schema.c.
"""

import contextlib
import re
import subprocess

import pytest
import yaml
from harness import BINARY, DEADLINE, TOP
from harness.inotify import Watch
from harness.process import die_with_parent, environment

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


WRAPPER = f"""#!/bin/bash
# The program with the configuration of the test, where a command takes one.
case $1 in
lint | import | version | help) exec {BINARY} "$@" ;;
*) exec {BINARY} "$1" -c "$CONFIG" "${{@:2}}" ;;
esac
"""


@pytest.fixture
def shell(tmp_path):
    """shell(line): what it runs, in a folder of its own, where the program is `mta-stsd`."""
    program = tmp_path / "bin" / "mta-stsd"
    program.parent.mkdir()
    program.write_text(WRAPPER)
    program.chmod(0o755)
    return lambda line: subprocess.Popen(
        ["bash", "-c", "exec " * ("|" not in line) + line], cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=die_with_parent,
        env={**environment(), "PATH": f"{program.parent}:/usr/bin:/bin",
             "CONFIG": str(tmp_path / "mta-stsd.yaml")})


def test_examples_of_the_manual_run(shell, run, make_config, tmp_path):
    """Each command has one in mta-stsd(8), and they work as written, one after the other."""
    config = make_config({"example.org": {"mode": "testing", "mx": ["mx1.example.org"]}},
                         contact={"tls_reports": "mailto:tlsrpt@example.org"})
    (tmp_path / "mta-stsd.yaml").write_text(yaml.safe_dump(config))
    section = MAN8.split("\n.Sh EXAMPLES")[1].split("\n.Sh ")[0]
    lines = [line for line in re.findall(r"^\.Dl (.*)$", section, re.M) if "curl" not in line]
    commands = set(re.findall(r"^  ([a-z]+) ", run("help").stdout, re.M))
    assert {line.split()[1] for line in lines} == commands
    server = None
    for line in lines:
        with contextlib.closing(Watch(tmp_path)) as watch:
            process = shell(line)
            if line.startswith("mta-stsd serve"):
                server = process
                assert watch.wait_until((tmp_path / "ready").exists, process, DEADLINE)
                continue
        output, _ = process.communicate(timeout=DEADLINE)
        assert process.returncode == 0, f"{line}: {output}"
    server.terminate()
    server.communicate(timeout=DEADLINE)
    assert server.returncode == 0


def test_examples_are_accepted(run):
    """The committed examples have no error but the certificates that this machine lacks."""
    for name in ("mta-stsd.yaml", "minimal.yaml"):
        done = run("check", "-c", TOP / "config" / name)
        codes = set(re.findall(r"error: .*\[([a-z-]+)\]$", done.stderr, re.M))
        assert codes <= {"certificate-unreadable", "tenant-no-certificate"}, done.stderr
