"""DNS servers that a test edits, and what other programs read in a zone file."""

import subprocess

import dns.query
import dns.rdatatype
import dns.zone

from . import DEADLINE
from .process import die_with_parent, environment
from .services import start_knot

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(*args, stdin="", path=PATH):
    """Runs another program to its end; the exit code is not judged."""
    return subprocess.run(
        [str(a) for a in args],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(PATH=path),
        timeout=DEADLINE,
        preexec_fn=die_with_parent,
        check=False,
    )


def wrapper(directory, program, *arguments):
    """A folder for PATH in which `program` has further arguments in front."""
    directory.mkdir()
    script = directory / program
    words = " ".join(f"'{a}'" for a in arguments)
    script.write_text(f'#!/bin/sh\nPATH={PATH}\nexec {program} {words} "$@"\n')
    script.chmod(0o755)
    return f"{directory}:{PATH}"


def _value(rdata):
    if rdata.rdtype == dns.rdatatype.TXT:
        return b"".join(rdata.strings).decode()
    if rdata.rdtype == dns.rdatatype.CAA:
        assert (rdata.flags, rdata.tag) == (0, b"issue")
        return rdata.value.decode()
    return rdata.to_text().rstrip(".")


def content(zone):
    """{(name, type): (TTL, values)} of a dnspython zone, without SOA."""
    return {
        (name.to_text().rstrip("."), dns.rdatatype.to_text(rdataset.rdtype)): (
            rdataset.ttl,
            sorted(map(_value, rdataset)),
        )
        for name, rdataset in zone.iterate_rdatasets()
        if rdataset.rdtype != dns.rdatatype.SOA
    }


def parse(text, zone):
    """The content of a zone file, as dnspython reads it."""
    return content(dns.zone.from_text(text, zone, relativize=False))


def transfer(zone):
    """Content and serial of a zone of the server on 127.0.0.1."""
    got = dns.zone.from_xfr(
        dns.query.xfr("127.0.0.1", zone, relativize=False, lifetime=DEADLINE), relativize=False
    )
    return content(got), got.get_soa().serial


def knot_editable(directory, zones):
    """Knot DNS on port 53 for {zone: zone file text}, as a Service.

    Everybody on loopback may update and transfer; `directory`/knot.conf is for knotc.
    """
    directory.mkdir()
    for zone, text in zones.items():
        (directory / zone).write_text(text)
    acl = """acl:
  - id: anybody
    address: [127.0.0.1, ::1]
    action: [update, transfer]
"""
    lines = "".join(f"  - domain: {zone}\n    file: {zone}\n" for zone in zones)
    return start_knot(directory, acl, "    acl: anybody\n", lines)


def powerdns(directory, zones):
    """A database of PowerDNS for {zone: zone file text}; the PATH in which pdnsutil edits it."""
    directory.mkdir()
    (directory / "pdns.conf").write_text(f"launch=lmdb\nlmdb-filename={directory}/pdns.lmdb\n")
    path = wrapper(directory / "bin", "pdnsutil", f"--config-dir={directory}")
    for zone, text in zones.items():
        (directory / zone).write_text(text)
        done = run("pdnsutil", "load-zone", zone, directory / zone, path=path)
        assert done.returncode == 0, done.stdout
    return path


def powerdns_content(path, zone):
    """The content of a zone in that database."""
    done = run("pdnsutil", "list-zone", zone, path=path)
    assert done.returncode == 0, done.stdout
    lines = [line for line in done.stdout.splitlines() if line.startswith(("$", "#")) is False]
    # It leaves the final dot out in front: the names are below the root.
    return parse("$ORIGIN .\n" + "\n".join(lines) + "\n", zone)
