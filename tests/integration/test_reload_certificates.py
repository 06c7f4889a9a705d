"""Certificates are renewed in many ways and orders: the next handshake gets the new pair as soon as
it is whole, the previous one until then, and no handshake ever fails."""

import datetime
import itertools
import os
import shutil

import pytest
import yaml
from harness.client import connect_tls, read_response, request_bytes
from harness.issue import Issuer
from harness.reload import NEIGHBOUR, SENTINEL, SUBJECT, policy, replace
from harness.watcher import CertificateWatcher, serial
from test_reload_links import swap, update_config_map
from test_reload_permissions import without_privileges

HOST = f"mta-sts.{SUBJECT}"

@pytest.fixture(scope="session")
def issuer(certs):
    return Issuer(certs.authority)


# --- Layouts: each writes one pair as its program does, for the first time and later -------------


def in_place(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def certbot(root, number, pair):
    """archive/ holds every version; the links of live/ are removed and made one by one."""
    archive, live = root / "archive" / HOST, root / "live" / HOST
    for folder in archive, live:
        folder.mkdir(parents=True, exist_ok=True)
    leaf, intermediate = pair.chain.split("-----END CERTIFICATE-----\n", 1)
    leaf += "-----END CERTIFICATE-----\n"
    kinds = {"cert": leaf, "privkey": pair.key, "chain": intermediate, "fullchain": pair.chain}
    for kind, text in kinds.items():
        (archive / f"{kind}{number}.pem").write_text(text)
    for kind in kinds:
        link = live / f"{kind}.pem"
        link.unlink(missing_ok=True)
        link.symlink_to(f"../../archive/{HOST}/{kind}{number}.pem")


def dehydrated(root, number, pair):
    """Versions lie beside their links, which are replaced by ln -sf."""
    folder = root / HOST
    folder.mkdir(exist_ok=True)
    for kind, text in (("privkey", pair.key), ("fullchain", pair.chain)):
        version = folder / f"{kind}-17000000{number}.pem"
        version.write_text(text)
        swap(folder / f"{kind}.pem", version.name)


def kubernetes(root, number, pair):
    """A Secret: both change with the link ..data."""
    files = {"tls.crt": pair.chain, "tls.key": pair.key}
    if (root / "..data").is_symlink():
        update_config_map(root, number, files)
        return
    first = root / "..2024_01_01_00_00_00.1"
    first.mkdir()
    for name, text in files.items():
        (first / name).write_text(text)
        os.symlink(f"..data/{name}", root / name)
    os.symlink(first.name, root / "..data")


def lego(root, _number, pair):
    """Written in place, the certificate first."""
    in_place(root / f"{HOST}.crt", pair.chain)
    in_place(root / f"{HOST}.key", pair.key)


def acme_sh(root, _number, pair):
    folder = root / f"{HOST}_ecc"
    in_place(folder / f"{HOST}.key", pair.key)
    in_place(folder / "fullchain.cer", pair.chain)


def haproxy(root, _number, pair):
    """One file, by rename."""
    replace(root / f"{HOST}.pem", pair.chain + pair.key)


def plain(root, _number, pair):
    """Two files, by rename: the layout that the tests below break."""
    folder = root / HOST
    folder.mkdir(exist_ok=True)
    replace(folder / "privkey.pem", pair.key)
    replace(folder / "fullchain.pem", pair.chain)


LAYOUTS = [certbot, dehydrated, kubernetes, lego, acme_sh, haproxy, plain]


class Subject:
    """The certificates of the subject, and a client that judges which one each handshake gets."""

    def __init__(self, make_scene, certs, issuer, layout=plain, issue=None, arrange=None, **options):
        folder = certs.make(*(f"mta-sts.{d}" for d in (NEIGHBOUR, SENTINEL)))
        others = [str(folder / f"mta-sts.{d}") for d in (NEIGHBOUR, SENTINEL)]
        self._issuer = issuer
        self._layout = layout
        self._numbers = itertools.count(2)
        self.pair = self.issue(**(issue or {}))

        def place(s):
            self.root = s.root / "certs"
            self.root.mkdir()
            layout(self.root, 1, self.pair)
            if arrange:
                arrange(self)

        options["settings"] = {"certificates": [*others, "certs"], **options.get("settings", {})}
        self.scene = make_scene(arrange=place, **options)
        self.daemon = self.scene.daemon
        self.seen = self.scene.watch(SUBJECT, self.pair.serial, CertificateWatcher)
        self.seen.until(self.pair.serial)
        self.folder = self.root / HOST
        self.chain, self.key = self.folder / "fullchain.pem", self.folder / "privkey.pem"

    def issue(self, **options):
        return self._issuer.issue(HOST, **options)

    def write(self, pair):
        self._layout(self.root, next(self._numbers), pair)

    def becomes(self, pair, action, *arguments):
        """Changes files so that this pair is presented soon."""
        self.seen.announce(pair.serial)
        self.scene.change(action, *arguments)
        self.seen.until(pair.serial)
        self.pair = pair

    def stays(self, action=None, *arguments):
        """Changes files in a way that must not change what is presented."""
        self.scene.stays(action, *arguments)
        self.seen.more()
        self.seen.check()

    def presented(self, host=HOST):
        """Which certificate a new connection gets."""
        with connect_tls(self.daemon.address(), host, self.scene.ca) as sock:
            return serial(sock)

    def renew(self):
        pair = self.issue()
        self.becomes(pair, self.write, pair)

    def kept(self):
        """Why the previous pair stays, as it was logged."""
        return self.scene.diagnostics(code="certificate-kept")

    def renewed(self):
        """How many renewals the lines of reloads count."""
        return sum(int(line.get("renewed", 0)) for line in self.scene.reloads())


@pytest.fixture
def subject(scene, certs, issuer):
    def build(**options):
        return Subject(scene, certs, issuer, **options)

    return build


# --- Renewals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_renewal(subject, layout):
    c = subject(layout=layout)
    for number in 1, 2, 3:
        c.renew()
        c.scene.hangup()
        assert c.renewed() == number
    assert not c.scene.diagnostics(level="error")


def test_open_connections_are_kept(subject):
    c = subject()
    before = c.pair.serial
    with connect_tls(c.daemon.address(), HOST, c.scene.ca) as sock:
        for _ in range(3):
            c.renew()
            sock.sendall(request_bytes(HOST))
            assert read_response(sock).status == 200
            assert serial(sock) == before


def test_key_moves_into_the_file(subject):
    """From two files to one."""
    c = subject()
    pair = c.issue()
    c.stays(c.key.unlink)
    c.becomes(pair, replace, c.chain, pair.combined)


def test_listed_as_files(subject):
    """Not a folder, but both files in the configuration."""
    files = ["certs/a.crt", "certs/b.key"]

    def arrange(c):
        for name, text in zip(files, (c.pair.chain, c.pair.key), strict=True):
            in_place(c.root.parent / name, text)
        shutil.rmtree(c.root / HOST)
        main = c.root.parent / "mta-stsd.yaml"
        config = yaml.safe_load(main.read_text())
        config["certificates"][-1:] = files
        main.write_text(yaml.safe_dump(config))

    c = subject(arrange=arrange)
    for _ in range(2):
        pair = c.issue()
        c.stays(replace, c.root / "a.crt", pair.chain)
        c.becomes(pair, replace, c.root / "b.key", pair.key)


# --- Half a renewal ------------------------------------------------------------------------------


@pytest.mark.parametrize("edit", [replace, in_place], ids=lambda edit: edit.__name__)
@pytest.mark.parametrize("first", ["key", "certificate"])
def test_one_after_the_other(subject, first, edit):
    c = subject()
    for number in 1, 2:
        pair = c.issue()
        halves = [(c.key, pair.key), (c.chain, pair.chain)]
        if first == "certificate":
            halves.reverse()
        c.stays(edit, *halves[0])
        c.scene.hangup()
        assert len(c.kept()) == number
        assert "belongs to another certificate" in c.kept()[-1]["message"]
        c.becomes(pair, edit, *halves[1])
    assert not c.scene.diagnostics(level="error")


def test_key_of_another_pair(subject):
    c = subject()
    original = c.key.read_text()
    c.stays(replace, c.key, c.issue().key)
    c.stays(replace, c.key, original)
    assert len(c.kept()) == 1
    c.renew()


def test_chain_that_is_still_written(subject):
    """Its leaf fits the key already, but without the rest senders would not trust it."""
    c = subject()
    pair = c.issue()
    c.stays(replace, c.key, pair.key)
    with open(c.chain, "w", encoding="utf-8") as file:
        for line in pair.chain.splitlines(keepends=True):
            file.write(line)
            file.flush()
            if "END" in line:
                c.stays()
        c.becomes(pair, file.close)


def test_burst_of_one(subject):
    """Renewed again and again without a pause, key first: what is whole last counts."""
    c = subject()
    pairs = [c.issue() for _ in range(200)]
    c.seen.announce(*(p.serial for p in pairs[:-1]))

    def write():
        for pair in pairs:
            c.write(pair)

    c.becomes(pairs[-1], write)
    c.scene.hangup()
    assert len(c.scene.reloads()) < 200


def test_burst_of_many(subject, issuer):
    """A renewal of hundreds: first all keys, then all certificates."""
    hosts = [f"mta-sts.t{number}.example.org" for number in range(300)]
    old, new = ({host: issuer.issue(host) for host in hosts} for _ in range(2))

    def arrange(c):
        tenants = {host.removeprefix("mta-sts."): policy(1) for host in hosts}
        (c.root.parent / "other.d" / "many.yaml").write_text(yaml.safe_dump({"tenants": tenants}))
        for host, pair in old.items():
            in_place(c.root / f"{host}.crt", pair.chain)
            in_place(c.root / f"{host}.key", pair.key)

    c = subject(arrange=arrange)

    assert all(c.presented(host) == pair.serial for host, pair in old.items())
    for host, pair in new.items():
        replace(c.root / f"{host}.key", pair.key)
    c.stays()
    assert all(c.presented(host) == pair.serial for host, pair in old.items())

    def rest():
        for host, pair in new.items():
            replace(c.root / f"{host}.crt", pair.chain)

    c.scene.change(rest)
    c.stays()
    assert all(c.presented(host) == pair.serial for host, pair in new.items())
    c.scene.hangup()
    assert c.renewed() == len(hosts)
    c.renew()


@pytest.mark.parametrize("layout", [certbot, dehydrated, acme_sh], ids=lambda one: one.__name__)
def test_one_of_many_folders(subject, issuer, layout):
    """Nothing else is looked at. What others write there is no reason to look."""
    hosts = [f"mta-sts.t{number}.example.org" for number in range(20)]

    def arrange(c):
        for host in hosts:
            folder = c.root / "live" / host if layout is certbot else c.root / host
            pair = issuer.issue(host)
            in_place(folder / "fullchain.pem", pair.chain)
            in_place(folder / "privkey.pem", pair.key)

    c = subject(arrange=arrange, layout=layout)
    c.stays()
    for _ in range(3):
        before = len(c.scene.reloads())
        c.renew()
        lines = c.scene.reloads()[before:]
        assert all(int(line["certificates_read"]) < 10 for line in lines), lines
        # On a busy machine a look may come between the two files of a pair. Then the earlier pair is
        # kept for a moment, and what becomes of it is found by a look at all folders.
        if c.kept():
            break
        assert lines[-1]["certificate_folders"] == "told", lines
    c.scene.hangup()
    assert not c.scene.diagnostics(level="error")


def take_in(c, domain, write):
    """Its certificate and then its file; returns the line of the reload that took it in."""

    def add():
        write()
        text = yaml.safe_dump({"tenants": {domain: policy(1)}})
        replace(c.scene.root / "other.d" / f"{domain}.yaml", text)

    before = len(c.scene.reloads())
    c.scene.change(add)
    c.daemon.wait_for("added=1 ", sum(line.get("added") == "1" for line in c.scene.reloads()) + 1)
    return next(line for line in c.scene.reloads()[before:] if line.get("added") == "1")


def test_new_tenants(subject, issuer):
    """Only their folders are looked at, and are watched from then on."""
    c = subject()
    c.stays()
    for number in range(3):
        domain = f"new{number}.example.org"
        pair = issuer.issue(f"mta-sts.{domain}")
        folder = c.root / domain / "in" if number == 2 else c.root / domain

        def write(folder=folder, pair=pair):
            in_place(folder / "fullchain.pem", pair.chain)
            in_place(folder / "privkey.pem", pair.key)

        line = take_in(c, domain, write)
        assert line["certificate_folders"] == "told", line
        assert line["certificates_read"] == "1", line
        assert c.presented(f"mta-sts.{domain}") == pair.serial
        pair = issuer.issue(f"mta-sts.{domain}")
        c.scene.change(write, folder, pair)
        c.stays()
        assert c.presented(f"mta-sts.{domain}") == pair.serial


def test_a_new_tenant_behind_a_link(subject, issuer):
    """The folder that the link leads to is watched, too."""
    c = subject()
    c.stays()
    elsewhere = c.scene.root / "elsewhere"

    def write(pair):
        in_place(elsewhere / "fullchain.pem", pair.chain)
        in_place(elsewhere / "privkey.pem", pair.key)

    pair = issuer.issue("mta-sts.new.example.org")
    write(pair)
    line = take_in(c, "new.example.org", lambda: swap(c.root / "new", elsewhere))
    assert line["certificate_folders"] == "all", line
    assert c.presented("mta-sts.new.example.org") == pair.serial
    pair = issuer.issue("mta-sts.new.example.org")
    c.scene.change(write, pair)
    c.stays()
    assert c.presented("mta-sts.new.example.org") == pair.serial


def test_more_folders_than_are_told(subject, issuer):
    hosts = [f"mta-sts.t{number}.example.org" for number in range(300)]

    def write(c):
        pairs = {host: issuer.issue(host) for host in hosts}
        for host, pair in pairs.items():
            in_place(c.root / host / "fullchain.pem", pair.chain)
            in_place(c.root / host / "privkey.pem", pair.key)
        return pairs

    def arrange(c):
        tenants = {host.removeprefix("mta-sts."): policy(1) for host in hosts}
        (c.root.parent / "other.d" / "many.yaml").write_text(yaml.safe_dump({"tenants": tenants}))
        write(c)

    c = subject(arrange=arrange)
    pairs = {}
    c.scene.change(lambda: pairs.update(write(c)))
    c.scene.hangup()
    assert all(c.presented(host) == pair.serial for host, pair in pairs.items())


# --- More pairs than the cache holds -------------------------------------------------------------


@pytest.mark.parametrize("mebibytes", [0, 1])
def test_more_than_the_cache_holds(subject, issuer, mebibytes):
    """Whatever is ready to use or not: what is presented is the last whole pair, also of files
    that nobody asked for before they broke."""
    hosts = [f"mta-sts.t{number}.example.org" for number in range(200)]
    pairs = {host: issuer.issue(host) for host in hosts}

    def arrange(c):
        tenants = {host.removeprefix("mta-sts."): policy(1) for host in hosts}
        (c.root.parent / "other.d" / "many.yaml").write_text(yaml.safe_dump({"tenants": tenants}))
        for host, pair in pairs.items():
            in_place(c.root / f"{host}.pem", pair.combined)
        main = c.root.parent / "mta-stsd.yaml"
        config = yaml.safe_load(main.read_text())
        config["limits"]["certificate_cache"] = mebibytes
        main.write_text(yaml.safe_dump(config))

    def all_are_right():
        assert {host: c.presented(host) for host in hosts} == {h: p.serial for h, p in pairs.items()}

    def renew(some):
        for host in some:
            pairs[host] = issuer.issue(host)
            replace(c.root / f"{host}.pem", pairs[host].combined)

    def break_all():
        for number, host in enumerate(hosts):
            path = c.root / f"{host}.pem"
            path.unlink() if number % 2 else replace(path, issuer.issue(HOST).key)

    c = subject(arrange=arrange)
    for number in range(2):
        c.scene.change(renew, hosts[number::3])
        c.stays()
        all_are_right()
        all_are_right()
    c.renew()
    c.scene.change(renew, hosts)
    c.stays()
    c.scene.change(break_all)
    c.stays()
    all_are_right()
    c.scene.change(renew, hosts)
    c.stays()
    all_are_right()


# --- What cannot be used -------------------------------------------------------------------------


def remove(path):
    """Whatever it is."""
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)


def in_its_place(make):
    def put(path):
        remove(path)
        make(path)

    return put


DAY = datetime.timedelta(days=1)
# name: (what is done to one file; part of the reason, where it is the same for both)
FAULTS = {
    "unreadable": (lambda path: os.chmod(path, 0), "permission denied"),
    "gone": (remove, ""),
    "fifo": (in_its_place(os.mkfifo), "not a regular file"),
    "directory": (in_its_place(os.mkdir), ""),
    "device": (in_its_place(lambda path: path.symlink_to("/dev/zero")), "not a regular file"),
    "link to nowhere": (in_its_place(lambda path: path.symlink_to("nowhere")), ""),
    "link loop": (in_its_place(lambda path: path.symlink_to(path.name)), ""),
    "empty": (lambda path: path.write_bytes(b""), ""),
    "cut": (lambda path: os.truncate(path, path.stat().st_size // 3), "END line is missing"),
    "nul": (lambda path: path.write_bytes(bytes(4000)), ""),
    "other text": (lambda path: path.write_text("Not Found\n"), ""),
    "too large": (lambda path: os.truncate(path, 80 << 20), "too large"),
}


@pytest.mark.parametrize("which", ["certificate", "key"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_fault(subject, fault, which):
    c = subject(preexec=without_privileges)
    path = c.chain if which == "certificate" else c.key
    action, reason = fault
    c.stays(action, path)
    for _ in range(2):
        c.scene.hangup()
    (line,) = c.kept()
    assert reason in line["message"] and HOST in line["where"]
    assert not c.scene.diagnostics(level="error")
    remove(path)
    c.renew()


def test_everything_is_gone(subject):
    c = subject()
    c.stays(shutil.rmtree, c.folder)
    c.stays(shutil.rmtree, c.root)
    c.scene.hangup()

    def again(pair):
        with c.scene.paused():
            c.root.mkdir()
            c.write(pair)

    pair = c.issue()
    c.becomes(pair, again, pair)
    c.renew()


@pytest.mark.parametrize("which", ["root", "folder"])
def test_folder_removed_and_recreated(subject, which):
    """IN_IGNORED: the watch is gone, and nothing tells of the new folder."""
    c = subject()

    def again(pair):
        with c.scene.paused():
            shutil.rmtree(getattr(c, which))
            c.folder.mkdir(parents=True)
            c.write(pair)

    for _ in range(3):
        pair = c.issue()
        c.becomes(pair, again, pair)
    c.renew()


def test_folder_that_may_not_be_entered(subject):
    c = subject(preexec=without_privileges)
    for folder in c.folder, c.root:
        c.stays(os.chmod, folder, 0)
        pair = c.issue()
        c.stays(c.write, pair)
        c.becomes(pair, os.chmod, folder, 0o755)


UNUSABLE = {
    "expired": ({"days": -1, "begins": -90 * DAY}, "expired on"),
    "not yet valid": ({"begins": DAY}, "is not valid before"),
}


@pytest.mark.parametrize("options, reason", UNUSABLE.values(), ids=UNUSABLE)
def test_whole_pair_that_is_of_no_use(subject, options, reason):
    c = subject()
    c.stays(c.write, c.issue(**options))
    c.scene.hangup()
    assert reason in c.kept()[-1]["message"]
    assert not c.scene.diagnostics(level="error")
    c.renew()


# --- The next start ------------------------------------------------------------------------------


def turn_a_bit(path):
    text = bytearray(path.read_bytes())
    text[len(text) // 2] ^= 4
    path.write_bytes(text)


INDEX_FAULTS = {
    "none": lambda path: None,
    "gone": remove,
    "bit": turn_a_bit,
    "cut": lambda path: os.truncate(path, path.stat().st_size - 5),
    "foreign": lambda path: path.write_text("SQLite format 3"),
    "fifo": in_its_place(os.mkfifo),
    "of others": lambda path: os.chmod(path, 0o666),
}


@pytest.mark.parametrize("fault", INDEX_FAULTS.values(), ids=INDEX_FAULTS)
def test_restart_with_an_index(subject, fault):
    """What the index beside the ledger says or does not say, the files decide."""
    c = subject()
    c.renew()
    index = c.scene.ledger.with_name(c.scene.ledger.name + ".certs")
    assert index.stat().st_mode & 0o777 == 0o600
    for _ in range(2):
        pair = c.issue()

        def meanwhile(pair=pair):
            fault(index)
            c.write(pair)

        for change in meanwhile, None:
            c.daemon = c.scene.restart(1, meanwhile=change).daemon
            assert c.presented() == pair.serial
            refused = c.daemon.log(event="certificate-index")
            assert bool(refused) == (fault is INDEX_FAULTS["fifo"])


def test_index_damaged_while_it_is_used(subject):
    """Nothing is kept ready, so each handshake looks for its certificate there."""
    c = subject(settings={"limits": {"certificate_cache": 0}})
    index = c.scene.ledger.with_name(c.scene.ledger.name + ".certs")
    for damage in turn_a_bit, lambda path: os.truncate(path, 100), remove:
        c.renew()
        damage(index)
        for host in HOST, f"mta-sts.{NEIGHBOUR}", HOST:
            assert c.presented(host)
        assert c.presented() == c.pair.serial
    c.daemon = c.scene.restart(1).daemon
    assert c.presented() == c.pair.serial


# --- Without a further event ---------------------------------------------------------------------


def test_retried_by_itself(subject):
    """The key is written through another name of the file, in a directory that nobody watches."""

    def arrange(c):
        os.link(c.root / HOST / "privkey.pem", c.root.parent / "elsewhere.key")

    c = subject(arrange=arrange)
    pair = c.issue()
    c.stays(replace, c.chain, pair.chain)
    (line,) = c.kept()
    c.becomes(pair, in_place, c.root.parent / "elsewhere.key", pair.key)
    assert c.kept() == [line]


NEW, NEW_HOST = "new.example", "mta-sts.new.example"


def add_tenant(c, reason):
    """One whose certificate cannot be used yet."""
    tenants = yaml.safe_dump({"tenants": {NEW: policy(1)}})
    c.scene.change(replace, c.scene.sentinel_file.with_name("new.yaml"), tenants)
    c.scene.look()
    (line,) = c.scene.diagnostics(code="tenant-no-certificate")
    assert line["tenant"] == NEW and reason in line["message"]


def test_first_pair_is_retried_by_itself(subject, issuer):
    """Where there is nothing to keep: the pair of a new tenant, readable again by its other name."""
    c = subject(preexec=without_privileges)
    pair = issuer.issue(NEW_HOST)
    elsewhere = c.root.parent / "elsewhere"
    in_place(elsewhere, pair.combined)
    os.chmod(elsewhere, 0)
    os.link(elsewhere, c.root / f"{NEW_HOST}.pem")
    add_tenant(c, "permission denied")
    os.chmod(elsewhere, 0o644)
    c.daemon.wait_for("event=reload .*served=4 without_certificate=0")
    assert c.presented(NEW_HOST) == pair.serial


# --- The clock -----------------------------------------------------------------------------------


def said(daemon):
    return [
        (line["event"], line["level"], line["tenant"], line.get("days"))
        for line in daemon.log()
        if line.get("event", "").startswith("certificate-")
    ]


@pytest.mark.once
def test_expiry_is_said_ahead(subject, clock, issuer):
    """Once for each threshold, whatever is looked at in between, and only what is presented."""

    def arrange(c):
        in_place(c.root / "mail.pem", issuer.issue("mail.example.org", days=50).combined)
        in_place(c.root / "older.pem", issuer.issue(HOST, days=40).combined)

    c = subject(issue={"days": 60, "begins": -30 * DAY}, arrange=arrange, env=clock.environment)
    c.scene.leave()  # libh2o ends connections when the clock jumps
    expected = []
    for passed, days in ((45, None), (46, 14), (48, None), (53, 7), (57, 3), (58.5, None), (59, 1)):
        clock.set(f"+{passed * 24 * 3600 + 60:.0f}")
        for _ in range(2):
            c.scene.hangup()
        if days:
            expected.append(("certificate-expires", "warning", SUBJECT, str(days)))
        assert said(c.daemon) == expected
    (line, *_) = c.daemon.log(event="certificate-expires")
    assert line["file"] == str(c.chain) and line["tenants"] == "1"
    assert line["not_after"] == c.pair.not_after.strftime("%Y-%m-%dT%H:%M:%SZ")
    # A renewed one is another certificate.
    c.scene.change(c.write, c.issue(days=62, begins=-30 * DAY))
    c.scene.hangup()
    expected.append(("certificate-expires", "warning", SUBJECT, "3"))
    assert said(c.daemon) == expected


@pytest.mark.once
@pytest.mark.parametrize("days, left", [(15, None), (13, "13"), (2, "2")])
def test_expiry_is_said_at_the_start(subject, days, left):
    c = subject(issue={"days": days, "begins": -90 * DAY})
    for _ in range(2):
        c.scene.hangup()
    expected = [("certificate-expires", "warning", SUBJECT, left)] if left else []
    assert said(c.daemon) == expected


def test_renewed_pair_that_expires_earlier(subject):
    """It is obeyed, and said once."""
    c = subject()
    pair = c.issue(days=30)
    c.becomes(pair, c.write, pair)
    for _ in range(2):
        c.scene.hangup()
    (line,) = c.scene.diagnostics(code="certificate-expires-earlier")
    assert line["level"] == "warning" and HOST in line["where"]
    c.renew()
    c.scene.hangup()
    assert len(c.scene.diagnostics(code="certificate-expires-earlier")) == 1


@pytest.mark.once
def test_renewed_pair_that_becomes_valid(subject, clock):
    """The server's clock was behind the authority's: nothing on disk changes, not even its times."""
    clock.set("-1800")
    c = subject(env=clock.environment)
    pair = c.issue(begins=-DAY / 96)
    c.stays(c.write, pair)
    assert "is not valid before" in c.kept()[-1]["message"]
    c.scene.leave()
    clock.set("+0d")
    c.daemon.wait_for("event=reload .*renewed=1")
    assert c.presented() == pair.serial


@pytest.mark.once
def test_first_pair_that_becomes_valid(subject, clock, issuer):
    clock.set("-1800")
    c = subject(env=clock.environment)
    pair = issuer.issue(NEW_HOST, begins=-DAY / 96)
    in_place(c.root / f"{NEW_HOST}.pem", pair.combined)
    add_tenant(c, "is not valid before")
    c.scene.leave()
    clock.set("+0d")
    c.daemon.wait_for("event=reload .*served=4 without_certificate=0")
    assert c.presented(NEW_HOST) == pair.serial


@pytest.mark.once
def test_the_minute_alone(serve, make_config, clock, issuer, tmp_path):
    """No file changes and nobody asks; a minute of the server is a second of ours."""
    folder = tmp_path / "certs"
    in_place(folder / "a.pem", issuer.issue(HOST, days=60, begins=-30 * DAY).combined)
    environment = {k: v for k, v in clock.environment.items() if "MONOTONIC" not in k}
    clock.set("+1d x60")
    daemon = serve({SUBJECT: policy(1)}, certificates=[str(folder)], env=environment)
    for passed, pattern in (
        (46.1, "event=certificate-expires .*days=14"),
        (53.1, "event=certificate-expires .*days=7"),
        (57.1, "event=certificate-expires .*days=3"),
        (59.1, "event=certificate-expires .*days=1"),
        (61, "event=certificate-expired "),
    ):
        clock.set(f"+{passed * 24 * 3600:.0f} x60")
        daemon.wait_for(pattern)
    # Then it is looked for another one.
    daemon.wait_for("event=reload .*served=0 without_certificate=1")
    assert len(daemon.log(event="certificate-expired", level="error")) == 1
