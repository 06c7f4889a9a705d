"""Fixtures of the integration tests; see tests/README.md."""

import itertools
import os
import pathlib
import sys
import tempfile

import pytest
import yaml

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness import BINARY  # noqa: E402
from harness import client, process  # noqa: E402
from harness.certs import Certificates  # noqa: E402
from harness.clock import Clock  # noqa: E402
from harness.daemon import Daemon  # noqa: E402
from harness.reload import NEIGHBOUR, SENTINEL, SUBJECT, Scene  # noqa: E402


def pytest_sessionstart(session):
    if not BINARY.exists():
        pytest.exit(f"{BINARY} is not built", returncode=3)


@pytest.fixture(scope="session")
def certs(tmp_path_factory):
    """Certificates by name: certs.make("mta-sts.example.org"), certs.ca."""
    return Certificates(tmp_path_factory.mktemp("certs"))


@pytest.fixture
def run():
    """run("check", "-c", path): a command of the program to its end."""
    return process.run


@pytest.fixture
def make_config(tmp_path, certs):
    """Builds a configuration: dict of tenants -> dict for YAML, with certificates made.

    Keyword arguments are other top-level keys; `certificates=` replaces the made ones.
    """

    def make(tenants, **settings):
        config = {"listen": ["127.0.0.1:0"], "ledger": str(tmp_path / "ledger.db")}
        if "certificates" not in settings:
            folder = certs.make(*(f"mta-sts.{domain}" for domain in tenants))
            config["certificates"] = [str(folder / f"mta-sts.{domain}") for domain in tenants]
        config.update(settings)
        config["tenants"] = tenants
        return config

    return make


@pytest.fixture
def serve(tmp_path, make_config):
    """Starts the server and ends it after the test, asserting exit 0 and no sanitizer report.

    serve({"example.org": {...}})            tenants; certificates are made
    serve({...}, listen=[...], strict=True)  further settings
    serve(config="text")                     a whole configuration as text or dict
    serve(..., files={"tenants.d/a.yaml": "..."}, args=[...], env={...}, start=False)
    """
    daemons = []
    numbers = itertools.count()

    def start(tenants=None, *, config=None, files=None, args=(), env=None, preexec=None,
              start=True, expect=0, **settings):
        directory = tmp_path / f"server{next(numbers)}"
        directory.mkdir()
        process.write_files(directory, files or {})
        if config is None:
            config = make_config(tenants or {}, **settings)
        daemon = Daemon(config, directory, args=args, env=env, preexec=preexec)
        daemon.expect = expect
        daemons.append(daemon)
        return daemon.start() if start else daemon

    yield start
    errors = []
    for daemon in reversed(daemons):
        try:
            daemon.stop(expect=daemon.expect)
        except AssertionError as error:
            errors.append(str(error))
    assert not errors, "\n".join(errors)


@pytest.fixture
def user(tmp_path):
    """Another user than root, as that of the service unit, whose the folder of the test is."""
    try:
        os.chown(tmp_path, 65534, 65534)
    except OSError:
        pytest.skip("only one user in this namespace")
    return 65534


@pytest.fixture
def serve_as_user(serve, user):
    """serve() where what the server writes beside its configuration is its user's."""
    def start(*args, **options):
        daemon = serve(*args, start=False, **options)
        (daemon.directory / ".ready").mkdir()
        os.chown(daemon.directory / ".ready", user, user)
        return daemon.start()

    return start


@pytest.fixture
def open_folder():
    """One that every user may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield pathlib.Path(folder)


@pytest.fixture
def fetch(certs):
    """fetch(daemon, "example.org"): the policy of a domain over verified TLS, as a Response."""

    def get(daemon, domain, index=0, **options):
        options.setdefault("ca", certs.ca)
        return client.fetch(daemon.address(index), f"mta-sts.{domain}", **options)

    return get


@pytest.fixture
def scene(tmp_path, certs, make_config):
    """scene(**options): a started Scene (harness/reload.py), whose clients are judged at the end.

    `reload` are the settings of that name; `arrange(scene)` moves files about before the start;
    `start=False` leaves the start to the test; `settings` are further keys of the main file.
    """
    scenes = []

    def build(start=True, settings=None, **options):
        domains = (SUBJECT, NEIGHBOUR, SENTINEL)
        config = make_config(dict.fromkeys(domains)) | (settings or {})
        del config["tenants"]
        made = Scene(tmp_path / f"scene{len(scenes)}", config, certs, **options)
        scenes.append(made)
        return made.start() if start else made

    yield build
    errors = []
    for made in reversed(scenes):
        try:
            made.close()
        except AssertionError as error:
            errors.append(str(error))
    assert not errors, "\n".join(errors)


@pytest.fixture
def write_config(tmp_path):
    """write_config(dict or text) -> path, for commands other than serve."""
    numbers = itertools.count()

    def write(config, files=None):
        directory = tmp_path / f"config{next(numbers)}"
        directory.mkdir()
        process.write_files(directory, files or {})
        path = directory / "mta-stsd.yaml"
        path.write_text(config if isinstance(config, str) else yaml.safe_dump(config, sort_keys=False))
        return path

    return write


@pytest.fixture
def clock(tmp_path):
    """A wall clock for programs: clock.set("+400d"), clock.at(moment), clock.environment."""
    if "san" in BINARY.parent.name:
        pytest.skip("the sanitizers want to be loaded before libfaketime")
    return Clock(tmp_path / "clock")
