"""mta-stsd and the web servers that it is compared with, each set up as an expert would.

All: two workers, TLS 1.2 and 1.3, X25519 first, no session cache, no OCSP, no access log; tickets
are switched off where the server can, because no client here comes back.
"""

import json
import os
import pathlib
import socket
import subprocess
import time

import measure
from tenants import host

STOP_S = 20


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Server:
    """One process tree. `prepare` writes its configuration and returns its command."""

    name = ""
    environment = {}

    def __init__(self, tenants):
        self.tenants = tenants
        self.port = free_port()
        self.folder = tenants.run / self.name.replace(" ", "-").replace(",", "")
        self.folder.mkdir(exist_ok=True)
        self.process = None
        self.command = [str(word) for word in self.prepare()]

    def prepare(self):
        raise NotImplementedError

    def start(self, tenant, limit):
        """Until `tenant` got its right answer: (seconds, seconds of CPU), or None after `limit`."""
        begin = time.monotonic()
        self.log = open(self.folder / "log", "w+b")
        self.process = subprocess.Popen(
            self.command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=subprocess.STDOUT, env=os.environ | self.environment,
        )  # fmt: skip
        wait = subprocess.run(
            measure.client_command(
                self.port, first=tenant, until="right", seconds=limit, **self.tenants.client_options
            ),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if wait.returncode != 0:
            print(f"{self.name}: no answer within {limit} s: {self.tail()} {wait.stderr.strip()}")
            self.stop()
            return None
        seconds = json.loads(wait.stdout)["at"] - begin
        return {"seconds": round(seconds, 3), "cpu_s": round(self.cpu(), 2)}

    def tail(self):
        text = pathlib.Path(self.log.name).read_text(errors="replace").strip()
        return text[-300:]

    def cpu(self):
        return measure.cpu(self.process.pid)

    def cpu_of_threads(self):
        return measure.cpu_of_threads(self.process.pid)

    def memory(self):
        return measure.memory(self.process.pid)

    def stop(self):
        if self.process is None:
            return
        children = measure.tree(self.process.pid)
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            for pid in children:
                try:
                    os.kill(pid, 9)
                except ProcessLookupError:
                    pass
            self.process.wait()
        self.log.close()
        self.process = None


class Own(Server):
    name = "mta-stsd"

    def prepare(self):
        self.tenants.write(self.port)
        return [measure.PROGRAM, "serve", "-c", self.tenants.main]

    def reloads(self):
        """How many reloads are done."""
        return pathlib.Path(self.log.name).read_bytes().count(b"event=reload ")

    def cache_mib(self):
        """What the certificates take that are ready to use: bounded, however many tenants. None
        when the server is too busy to say."""
        done = subprocess.run(
            [measure.PROGRAM, "status", "-c", self.tenants.main, "--format", "json"],
            stdout=subprocess.PIPE, check=False,
        )  # fmt: skip
        if not done.stdout:
            return None
        return round(json.loads(done.stdout)["certificate_cache"]["bytes"] / 2**20, 1)


class Nginx(Server):
    """A server block for each tenant: all certificates are loaded at the start."""

    name = "nginx"
    binary = "/usr/sbin/nginx"

    def main(self, servers):
        size = 1 << max(10, (4 * self.tenants.count).bit_length())
        temporary = "".join(
            f"{kind}_temp_path {self.folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (self.folder / "nginx.conf").write_text(
            f"daemon off;\nworker_processes 2;\nworker_rlimit_nofile 65536;\n"
            f"error_log stderr error;\npid {self.folder}/pid;\n"
            + ("user root;\n" if os.geteuid() == 0 else "")
            + "events { worker_connections 8192; }\n"
            f"http {{\n{temporary}access_log off;\nserver_tokens off;\nkeepalive_timeout 0;\n"
            "default_type text/plain;\ntypes { }\netag off;\n"
            "open_file_cache max=30000 inactive=10m;\nopen_file_cache_valid 1s;\n"
            f"server_names_hash_max_size {size};\nserver_names_hash_bucket_size 128;\n"
            "ssl_protocols TLSv1.2 TLSv1.3;\nssl_ecdh_curve X25519:prime256v1;\n"
            "ssl_session_cache off;\nssl_session_tickets off;\nssl_conf_command NumTickets 0;\n"
            f"ssl_buffer_size 4k;\n{servers}}}\n"
        )
        return [self.binary, "-e", "stderr", "-p", self.folder, "-c", self.folder / "nginx.conf"]

    def prepare(self):
        live, tree = self.tenants.live, self.tenants.tree
        servers = [
            f"server {{ listen 127.0.0.1:{self.port} ssl default_server reuseport; "
            "ssl_reject_handshake on; }\n"
        ]
        for name in map(host, range(self.tenants.count)):
            servers.append(
                f"server {{ listen 127.0.0.1:{self.port} ssl; server_name {name}; root {tree}/"
                f"{name}; ssl_certificate {live}/{name}/fullchain.pem; "
                f"ssl_certificate_key {live}/{name}/privkey.pem; }}\n"
            )
        return self.main("".join(servers))


class NginxVariables(Nginx):
    """One server block whose certificates are files named by SNI, read in every handshake."""

    name = "nginx, variables"

    def prepare(self):
        live = self.tenants.live
        return self.main(
            "map $ssl_server_name $certificate {\n    default none;\n"
            '    "~^mta-sts\\.[a-z0-9.-]+$" $ssl_server_name;\n}\n'
            f"server {{\n    listen 127.0.0.1:{self.port} ssl reuseport;\n"
            '    server_name "~^(?<policy_host>mta-sts\\.[a-z0-9.-]+)$";\n'
            f"    ssl_certificate {live}/$certificate/fullchain.pem;\n"
            f"    ssl_certificate_key {live}/$certificate/privkey.pem;\n"
            f"    root {self.tenants.tree}/$policy_host;\n}}\n"
        )


class Haproxy(Server):
    """A folder of certificates; a backend for each policy, found by a map of the hosts."""

    name = "haproxy"

    def prepare(self):
        backends = "".join(
            f"backend {name}\n    mode http\n    http-request return status 200 content-type "
            f"text/plain file {file}\n"
            for name, file in self.tenants.backends().items()
        )
        (self.folder / "haproxy.cfg").write_text(
            "global\n    nbthread 2\n    maxconn 8192\n    tune.ssl.cachesize 0\n"
            "    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets\n"
            "    ssl-default-bind-curves X25519:P-256\n"
            "defaults\n    timeout client 10s\n    timeout connect 10s\n    timeout server 10s\n"
            "    option httpclose\nfrontend policies\n    mode http\n"
            f"    bind 127.0.0.1:{self.port} ssl crt {self.tenants.combined}/ strict-sni "
            "alpn http/1.1\n"
            "    http-request return status 404 if !{ path /.well-known/mta-sts.txt }\n"
            "    use_backend %[req.hdr(host),field(1,:),lower,"
            f"map_str({self.tenants.map})]\n{backends}"
        )
        return ["/usr/sbin/haproxy", "-W", "-f", self.folder / "haproxy.cfg"]


class H2o(Server):
    """A host for each tenant, with its certificate."""

    name = "h2o"

    def prepare(self):
        live, tree = self.tenants.live, self.tenants.tree
        hosts = [
            f'  "{name}":\n    listen: {{host: 127.0.0.1, port: {self.port}, ssl: '
            f"{{certificate-file: {live}/{name}/fullchain.pem, key-file: {live}/{name}/"
            "privkey.pem, minimum-version: TLSv1.2, ocsp-update-interval: 0}}\n"
            f'    paths: {{"/": {{file.dir: {tree}/{name}}}}}\n'
            for name in map(host, range(self.tenants.count))
        ]
        (self.folder / "h2o.conf").write_text(
            "num-threads: 2\nmax-connections: 8192\nssl-session-resumption: {mode: off}\n"
            + ("user: root\n" if os.geteuid() == 0 else "")
            + "hosts:\n"
            + "".join(hosts)
        )
        return ["/usr/bin/h2o", "-c", self.folder / "h2o.conf"]


class Caddy(Server):
    """A folder of certificates and one file server."""

    name = "caddy"

    @property
    def environment(self):
        home = str(self.folder)
        return {"XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home, "GOMAXPROCS": "2"}

    def prepare(self):
        server = {
            "listen": [f"127.0.0.1:{self.port}"],
            "protocols": ["h1"],
            "automatic_https": {"disable": True},
            "tls_connection_policies": [{"alpn": ["http/1.1"], "curves": ["x25519", "secp256r1"]}],
            "routes": [
                {
                    "handle": [
                        {
                            "handler": "file_server",
                            "root": f"{self.tenants.tree}/{{http.request.host}}",
                        }
                    ]
                }
            ],
        }
        tls = {
            "certificates": {"load_folders": [str(self.tenants.combined)]},
            "session_tickets": {"disabled": True},
            "disable_ocsp_stapling": True,
            # By default it keeps 10,000, and evicts others at random.
            "cache": {"capacity": 2 * self.tenants.count + 1000},
        }
        config = {
            "admin": {"disabled": True, "config": {"persist": False}},
            "logging": {"logs": {"default": {"level": "ERROR"}}},
            "apps": {
                "http": {"servers": {"policies": server}},
                "tls": tls,
                # Else each run leaves another authority among those that this machine trusts.
                "pki": {"certificate_authorities": {"local": {"install_trust": False}}},
            },
        }
        (self.folder / "caddy.json").write_text(json.dumps(config))
        return ["/usr/bin/caddy", "run", "--config", self.folder / "caddy.json"]


PEERS = (Nginx, NginxVariables, Haproxy, H2o, Caddy)
