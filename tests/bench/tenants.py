"""The tenants of a measurement as configuration: names and policies as in tenant.h."""

import shutil

from measure import TOP, generate

POLICIES = 97
MAX_AGE = 2419200


def domain(tenant):
    return f"t{tenant:07}.example"


def host(tenant):
    return "mta-sts." + domain(tenant)


def body(policy):
    return (
        f"version: STSv1\r\nmode: enforce\r\nmx: mx{policy}.provider.example\r\n"
        f"max_age: {MAX_AGE}\r\n"
    ).encode()


def replace(path, text):
    fresh = path.with_name("." + path.name + ".new")
    fresh.write_text(text)
    fresh.rename(path)


class Tenants:
    """COUNT tenants: certificates that are made once, and configuration made anew each time."""

    def __init__(self, count, per_file=1000, certificates=True):
        self.count = count
        self.per_file = per_file
        self.folder = TOP / "build" / "bench" / str(count)
        self.run = self.folder / "run"
        self.live = self.folder / "live"
        self.combined = self.folder / "combined"
        self.tree = self.folder / "tree"
        self.map = self.run / "haproxy.map"
        self.folder.mkdir(parents=True, exist_ok=True)
        if certificates and not (self.folder / "complete").exists():
            print(f"making {count} certificates, once", flush=True)
            generate(self.folder, count)
        shutil.rmtree(self.run, ignore_errors=True)
        (self.run / "tenants.d").mkdir(parents=True)
        self.main = self.run / "mta-stsd.yaml"
        self.added = 0  # new ones, which are numbered behind the others
        self.remove_added()
        self.ages = {}  # of tenants that differ from their policy
        self._policy_age = MAX_AGE

    def write(self, port):
        """The whole configuration of mta-stsd."""
        self._port = port
        self._write_main()
        for number in range(0, self.count, self.per_file):
            self._write_file(number)

    def _write_main(self):
        policies = "".join(
            f"  p{i}: {{mode: enforce, mx: [mx{i}.provider.example], max_age: "
            f"{self._policy_age}s}}\n"
            for i in range(POLICIES)
        )
        replace(
            self.main,
            f'listen: ["127.0.0.1:{self._port}"]\ncertificates: ["{self.live}"]\n'
            f'ledger: "{self.run}/ledger.db"\naccess_log: off\n'
            'contact: {tls_reports: "mailto:tlsrpt@provider.example"}\n'
            "records: {policy_host: policy.provider.example}\n"
            "limits: {workers: 2, connections_per_ip: 0}\n"
            f"policies:\n{policies}include: [tenants.d/*.yaml]\n",
        )

    def _write_file(self, tenant):
        first = tenant - tenant % self.per_file
        lines = ["tenants:"]
        for i in range(first, min(first + self.per_file, self.count)):
            age = f", max_age: {self.ages[i]}s" if i in self.ages else ""
            lines.append(f"  {domain(i)}: {{policy: p{i % POLICIES}{age}}}")
        replace(self.run / "tenants.d" / f"{first:07}.yaml", "\n".join(lines) + "\n")

    def change(self, tenant, age):
        """One tenant's policy."""
        self.ages[tenant] = age
        self._write_file(tenant)

    def restore(self, tenant):
        """The tenant follows its policy again."""
        if self.ages.pop(tenant, None):
            self._write_file(tenant)

    def add(self, tenant):
        """A new one: its certificate, as a hook puts it there, and then a file of its own."""
        number = self.count + tenant
        (self.live / host(number)).mkdir()
        generate(self.folder, self.count, number)
        replace(
            self.run / "tenants.d" / f"new{tenant}.yaml",
            f"tenants: {{{domain(number)}: {{policy: p{number % POLICIES}}}}}\n",
        )

    def remove_added(self):
        number = self.count
        while (self.live / host(number)).exists():
            shutil.rmtree(self.live / host(number))
            (self.combined / f"{host(number)}.pem").unlink(missing_ok=True)
            number += 1

    def change_all(self, age):
        """All tenants' policies at once, by those that they share."""
        self._policy_age = age
        self._write_main()

    def write_tree(self):
        """The static files of the other servers, as `mta-stsd export` lays them out, and a map of
        the hosts to their policies for HAProxy."""
        for number in range(POLICIES):
            (self.run / f"p{number}.txt").write_bytes(body(number))
        self.map.write_text("".join(f"{host(i)} p{i % POLICIES}\n" for i in range(self.count)))
        if (self.tree / "complete").exists():
            return
        for i in range(self.count):
            folder = self.tree / host(i) / ".well-known"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "mta-sts.txt").write_bytes(body(i % POLICIES))
        (self.tree / "complete").touch()
