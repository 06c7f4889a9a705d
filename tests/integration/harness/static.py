"""Web servers from Debian that serve what `mta-stsd export` wrote, by its own snippets.

Of a snippet nothing is changed but the place of the certificates, which is the operator's.
"""

import subprocess
from contextlib import contextmanager

from . import DEADLINE
from .process import die_with_parent
from .services import Service


@contextmanager
def nginx(directory, tree, certificates):
    """nginx as one process; its sockets listen before it logs its version."""
    snippet = (tree / "nginx.conf").read_text().replace("/etc/letsencrypt/live", str(certificates))
    (directory / "policies.conf").write_text(snippet)
    temporary = "".join(
        f"    {name}_temp_path {directory}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (directory / "nginx.conf").write_text(
        "daemon off;\nmaster_process off;\nerror_log stderr notice;\n"
        f"pid {directory}/pid;\nevents {{ }}\n"
        f"http {{\n    access_log off;\n{temporary}    include {directory}/policies.conf;\n}}\n"
    )
    with subprocess.Popen(
        ["/usr/sbin/nginx", "-e", "stderr", "-p", directory, "-c", directory / "nginx.conf"],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent,
    ) as process:  # fmt: skip
        said = []
        for line in process.stderr:
            said.append(line)
            if "[notice]" in line and "nginx/" in line:
                break
        assert process.poll() is None, "".join(said)
        yield
        process.kill()


@contextmanager
def caddy(directory, tree, certificates):
    """Caddy, which finds the certificates loaded and asks nobody for them.

    Its own authority, of which the one of `localhost` comes, is told to nobody: by default each
    start adds another to those that the machine trusts.
    """
    pem = _combined(directory, certificates)
    (directory / "Caddyfile").write_text(
        "{\n    admin off\n    skip_install_trust\n    auto_https disable_redirects\n"
        "    servers {\n        strict_sni_host on\n    }\n}\n"
        f"localhost {{\n    tls {{\n        load {pem}\n    }}\n}}\n"
        f"import {tree}/Caddyfile\n"
    )
    env = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(directory))
    with Service(["/usr/bin/caddy", "run", "--config", directory / "Caddyfile"], env=env) as service:
        yield
        assert service.process.poll() is None, service.output


@contextmanager
def haproxy(directory, tree, certificates):
    """HAProxy, with the timeouts that it asks for."""
    pem = _combined(directory, certificates)
    snippet = (tree / "haproxy.cfg").read_text().replace("/etc/haproxy/certs", str(pem))
    (directory / "policies.cfg").write_text(snippet)
    (directory / "haproxy.cfg").write_text(
        "defaults\n    timeout client 60s\n    timeout connect 60s\n    timeout server 60s\n"
    )
    files = [a for name in ("haproxy.cfg", "policies.cfg") for a in ("-f", directory / name)]
    checked = subprocess.run(
        ["/usr/sbin/haproxy", "-c", *files], capture_output=True, text=True, timeout=DEADLINE
    )
    assert checked.returncode == 0 and "WARNING" not in checked.stderr, checked.stderr
    with Service(["/usr/sbin/haproxy", "-Ws", *files]):
        yield


def _combined(directory, certificates):
    """A folder with chain and key of each host in one file."""
    folder = directory / "pem"
    folder.mkdir()
    for host in sorted(certificates.iterdir()):
        if (host / "privkey.pem").exists():
            text = (host / "fullchain.pem").read_text() + (host / "privkey.pem").read_text()
            (folder / f"{host.name}.pem").write_text(text)
    return folder


SERVERS = {"nginx": nginx, "caddy": caddy, "haproxy": haproxy}
