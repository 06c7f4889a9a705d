"""The tenants of a measurement as configuration: names and policies as in tenant.h."""

import shutil

from measure import TOP, generate

POLICIES = 97
OWN_MAX_AGE = 1209600  # two weeks, which brings each tenant a note that four are better
SHARED_MAX_AGE = 2419200


def domain(tenant):
    return f"t{tenant:07}.example"


def host(tenant):
    return "mta-sts." + domain(tenant)


def mx(tenant):
    """Of its own."""
    return [f"mx{i}.{domain(tenant)}" for i in (1, 2)]


def body(names, age):
    lines = ["version: STSv1", "mode: enforce", *(f"mx: {name}" for name in names)]
    return "".join(f"{line}\r\n" for line in (*lines, f"max_age: {age}")).encode()


def replace(path, text):
    fresh = path.with_name("." + path.name + ".new")
    fresh.write_text(text)
    fresh.rename(path)


class Tenants:
    """COUNT tenants: certificates that are made once, and configuration made anew each time.

    Each has a file and a policy of its own; or, `shared`, they share 97 policies of the main file
    and there are many of them in a file.
    """

    def __init__(self, count, shared=False, per_file=None, certificates=True):
        self.count = count
        self.shared = shared
        self.policies = "shared" if shared else "own"
        self.per_file = per_file or (1000 if shared else 1)
        # What every client must know of them.
        self.client_options = {"tenants": count, "policies": self.policies}
        self.folder = TOP / "build" / "bench" / str(count)
        self.run = self.folder / "run"
        self.live = self.folder / "live"
        self.combined = self.folder / "combined"
        self.tree = self.folder / f"tree-{self.policies}"
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
        self.max_age = self._policy_age = SHARED_MAX_AGE if shared else OWN_MAX_AGE

    def write(self, port):
        """The whole configuration of mta-stsd."""
        self._port = port
        self._write_main()
        self._write_files()

    def _write_files(self):
        for number in range(0, self.count, self.per_file):
            self._write_file(number)

    def _write_main(self):
        policies = "policies:\n" + "".join(
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
            f"{policies if self.shared else ''}include: [tenants.d/*.yaml]\n",
        )

    def _entry(self, tenant):
        if self.shared:
            age = f", max_age: {self.ages[tenant]}s" if tenant in self.ages else ""
            return f"  {domain(tenant)}: {{policy: p{tenant % POLICIES}{age}}}\n"
        age = self.ages.get(tenant, self._policy_age)
        return (
            f"  {domain(tenant)}: {{mode: enforce, mx: [{', '.join(mx(tenant))}], "
            f"max_age: {age}s}}\n"
        )

    def _write_file(self, tenant):
        first = tenant - tenant % self.per_file
        tenants = range(first, min(first + self.per_file, self.count))
        name = f"{first:07}" if self.per_file > 1 else domain(first)
        text = "tenants:\n" + "".join(map(self._entry, tenants))
        replace(self.run / "tenants.d" / f"{name}.yaml", text)

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
            self.run / "tenants.d" / f"{domain(number)}.yaml", f"tenants:\n{self._entry(number)}"
        )

    def remove_added(self):
        number = self.count
        while (self.live / host(number)).exists():
            shutil.rmtree(self.live / host(number))
            (self.combined / f"{host(number)}.pem").unlink(missing_ok=True)
            number += 1

    def change_all(self, age):
        """All tenants' policies, as their operator would do it: the program that keeps the files
        writes each of them anew, the last tenant's last; or one edit of the shared policies."""
        self._policy_age = age
        if self.shared:
            self._write_main()
        else:
            self.ages.clear()
            self._write_files()

    def _file(self, tenant):
        return self.tree / host(tenant) / ".well-known" / "mta-sts.txt"

    def _backend(self, tenant):
        return f"p{tenant % POLICIES}" if self.shared else f"t{tenant}"

    def backends(self):
        """For HAProxy: each policy's name, and the file of the first tenant that has it."""
        count = min(self.count, POLICIES) if self.shared else self.count
        return {self._backend(i): self._file(i) for i in range(count)}

    def write_tree(self):
        """The static files of the other servers, as `mta-stsd export` lays them out, and a map of
        the hosts to their policies for HAProxy."""
        self.map.write_text("".join(f"{host(i)} {self._backend(i)}\n" for i in range(self.count)))
        if (self.tree / "complete").exists():
            return
        for i in range(self.count):
            names = [f"mx{i % POLICIES}.provider.example"] if self.shared else mx(i)
            self._file(i).parent.mkdir(parents=True, exist_ok=True)
            self._file(i).write_bytes(body(names, self.max_age))
        (self.tree / "complete").touch()
