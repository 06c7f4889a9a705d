"""The tables in the program, and what the documents say of them, are the same.

The keys of the configuration have their own comparison in tests/unit/test_schema.c.
"""

import re
import subprocess

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


def complete(*words):
    """What bash would offer for the last word."""
    script = (f'source "{TOP}/packaging/completions/mta-stsd.bash"; '
              f'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mta_stsd; echo "${{COMPREPLY[@]}}"')
    done = subprocess.run(["bash", "-c", script, "bash", *words], stdout=subprocess.PIPE,
                          text=True, check=True)
    return set(done.stdout.split())


def test_completions_are_those_of_the_table(run):
    """Commands, options and formats that bash completes are what the program has."""
    usage = run("help").stdout
    commands = dict(re.findall(r"^  ([a-z]+) +(.*)$", usage, re.M))
    assert complete("mta-stsd", "") == set(commands)
    for name, synopsis in commands.items():
        options = set(re.findall(r"--[a-z-]+", synopsis))
        options |= {"--config"} if "-c FILE" in synopsis else set()
        offered = complete("mta-stsd", name, "-")
        assert {o for o in offered if o.startswith("-")} == options, name
    for name in ("check", "status", "plan", "log", "export"):
        words = set(re.search(r"--format ([a-z|-]+)", commands[name])[1].split("|"))
        assert complete("mta-stsd", name, "--format", "") == words
    assert complete(BINARY, "records", "--format", "") == formats(run)
    assert complete("/none/mta-stsd", "records", "--format", "") == set()


def test_examples_are_accepted(run):
    """The committed examples have no error but the certificates that this machine lacks."""
    for name in ("mta-stsd.yaml", "minimal.yaml"):
        done = run("check", "-c", TOP / "config" / name)
        codes = set(re.findall(r"error: .*\[([a-z-]+)\]$", done.stderr, re.M))
        assert codes <= {"certificate-unreadable", "tenant-no-certificate"}, done.stderr
