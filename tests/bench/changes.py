"""What changes cost a running server, and what its clients notice of them."""

import random
import statistics
import time

import measure

RATE = 200  # fetches a second of the others; far below what the server can do, so that p99 is its
IDLE_S = 0.5  # without a tick of CPU
LIMIT_S = 120


class Changes:
    def __init__(self, own, tenants, seed=7):
        self.own = own
        self.tenants = tenants
        self.random = random.Random(seed)
        self.age = tenants.max_age
        self.written_s = None  # that writing the last change of all policies took

    # --- Kinds of change: each returns (tenant to ask, what its answer must show) ---
    def policy(self):
        self.age += 1
        tenant = self.random.randrange(self.tenants.count)
        return tenant, f"age={self.age}", lambda: self.tenants.change(tenant, self.age)

    def certificate(self):
        tenant = self.random.randrange(self.tenants.count)

        def renew():
            return measure.generate(self.tenants.folder, self.tenants.count, tenant)

        return tenant, None, renew

    def addition(self):
        tenant = self.tenants.added
        self.tenants.added += 1
        return self.tenants.count + tenant, "right", lambda: self.tenants.add(tenant)

    def everything(self):
        self.age += 1
        tenant = self.tenants.count - 1  # the last that is written
        self.tenants.restore(tenant)

        def write():
            begin = time.monotonic()
            self.tenants.change_all(self.age)
            self.written_s = time.monotonic() - begin

        return tenant, f"age={self.age}", write

    # --- Measured ---
    def until_live(self, change):
        """Makes it; seconds until the first answer that shows it, None if none does."""
        tenant, wanted, make = change
        begin = time.monotonic()
        serial = make()
        try:
            found = measure.client(
                self.own.port, first=tenant, until=wanted or f"serial={serial}", seconds=LIMIT_S,
                **self.tenants.client_options,
            )  # fmt: skip
        except RuntimeError:
            return None
        return found["at"] - begin

    def cost(self, change):
        """Seconds of CPU that it costs until the server is idle again, without any client."""
        _, _, make = change
        self._until_idle()
        before, reloads, begin = self.own.cpu(), self.own.reloads(), time.monotonic()
        make()
        while self.own.reloads() == reloads and time.monotonic() < begin + LIMIT_S:
            time.sleep(0.05)
        self._until_idle()  # what it does afterwards counts too: ledger, freeing
        return self.own.cpu() - before

    def _until_idle(self):
        end, last = time.monotonic() + LIMIT_S, None
        while (now := self.own.cpu()) != last and time.monotonic() < end:
            last = now
            time.sleep(IDLE_S)

    def others(self, seconds, kind=None, every=1.0):
        """What clients at a steady rate see in so many seconds, while `kind` happens."""
        client = measure.Client(
            self.own.port, seconds=seconds, rate=RATE, threads=32, **self.tenants.client_options
        )
        made, begin = 0, time.monotonic()
        time.sleep(min(every, seconds / 4))
        while kind and time.monotonic() < begin + seconds - every / 2:
            kind()[2]()
            made += 1
            time.sleep(max(0.0, min(every, begin + seconds - time.monotonic())))
        return client.result() | {"changes": made}

    def measure(self, kind, times, seconds):
        costs = [self.cost(kind()) for _ in range(times)]
        lives = [self.until_live(kind()) for _ in range(times)]
        # In turns and the better of each, because other work on the machine is in both.
        turns = [(self.others(seconds), self.others(seconds, kind)) for _ in range(2)]
        busy = [turn[1] for turn in turns]
        return {
            # The look each reload.rescan may fall into one of them; it belongs to none.
            "cpu_ms": round(1000 * statistics.median(costs), 1),
            "live_s": None if None in lives else round(statistics.median(lives), 3),
            "live_max_s": None if None in lives else round(max(lives), 3),
            "failed": sum(turn["failed"] + turn["wrong"] for turn in busy),
            "quiet_p99_ms": min(turn[0]["p99_ms"] for turn in turns),
            "p99_ms": min(turn["p99_ms"] for turn in busy),
            "max_ms": max(turn["max_ms"] for turn in busy),
            "changes": sum(turn["changes"] for turn in busy),
        }

    def all_at_once(self, seconds):
        """One change of every policy while clients go on, for as long as it takes."""
        begin = time.monotonic()
        cost = self.cost(self.everything())
        seconds = max(seconds, 2 * (time.monotonic() - begin))
        busy = self.others(seconds, self.everything, every=max(2.0, seconds / 2))
        live = self.until_live(self.everything())
        return {
            "cpu_ms": round(1000 * cost, 1),
            "live_s": live and round(live, 3),
            "written_s": round(self.written_s, 3),
            "failed": busy["failed"] + busy["wrong"],
            "p99_ms": busy["p99_ms"],
            "max_ms": busy["max_ms"],
            "changes": busy["changes"],
        }

    def soak(self, seconds):
        """Fetches, policy changes and renewals all the time; every kind must end up served."""
        client = measure.Client(
            self.own.port, seconds=seconds, threads=8, pick="uniform", **self.tenants.client_options
        )
        begin, samples, made, lost = time.monotonic(), [], 0, 0
        kinds = [self.policy] * 6 + [self.certificate] * 5 + [self.everything]
        while time.monotonic() < begin + seconds - 1:
            change = kinds[made % len(kinds)]()
            made += 1
            if made % 10:
                change[2]()
                time.sleep(0.1)
            else:
                lost += self.until_live(change) is None
            samples.append(self.own.memory()["anonymous_mib"])
        found = client.result()
        half = len(samples) // 2
        return {
            "seconds": round(found["seconds"]),
            "fetches": found["right"],
            "wrong": found["wrong"],
            "failed": found["failed"],
            "changes": made,
            "changes_never_served": lost,
            "anonymous_mib_second_quarter": max(samples[half // 2 : half], default=0),
            "anonymous_mib_last_quarter": max(samples[half + half // 2 :], default=0),
            "p99_ms": found["p99_ms"],
            "complaint": found["complaint"],
        }
