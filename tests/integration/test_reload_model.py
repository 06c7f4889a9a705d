"""Any sequence of faults and repairs, against a model of what must be served: a few lines that an
operator could read."""

import os
import random
import signal

import pytest
from harness.reload import ABSENT, body, replace, text

STEPS = 40
MAIN_IS_BROKEN = "tenants: [\n"


class Model:
    """What is on disk, and what follows for the subject."""

    def __init__(self):
        self.file = 1  # a version, "broken", "empty", "dangling" or None: removed
        self.present = True  # the directory
        self.main = True  # the main file is good
        self.served = 1

    def look(self):
        """What is served after the files were looked at."""
        if not self.main or not self.present:
            pass  # nobody can say that anything was meant to change
        elif isinstance(self.file, int):
            self.served = self.file
        elif self.file is None:
            self.served = ABSENT
        return self.served


class Walk:
    """The same steps for the model and for the server."""

    def __init__(self, scene, seed):
        self.scene = scene
        self.model = Model()
        self.chance = random.Random(seed)
        self.number = 1
        self.good_main = scene.main.read_text()
        self.away = scene.root / "away"
        self.history = []

    @property
    def path(self):
        return self.scene.file if self.model.present else self.away / self.scene.file.name

    def write(self):
        self.number += 1
        self.model.file = self.number
        return lambda: replace(self.path, text(self.number))

    def write_in_place(self):
        self.number += 1
        self.model.file = self.number
        if self.path.is_symlink() or not self.path.exists():
            return lambda: replace(self.path, text(self.number))
        return lambda: self.path.write_text(text(self.number))

    def break_it(self):
        self.model.file = "broken"
        return lambda: replace(self.path, self.chance.choice(["tenants: {\n", "\0\0\0", "17\n"]))

    def break_the_tenant(self):
        if self.model.served is ABSENT:
            return None  # it would be there, with nothing to serve: 404 instead of no handshake
        self.model.file = "broken"
        return lambda: replace(self.path, "tenants: {example.org: {mode: enforced}}\n")

    def empty(self):
        self.model.file = "empty"
        return lambda: replace(self.path, "")

    def dangle(self):
        def link():
            new = self.path.with_name("new")
            os.symlink("nowhere", new)
            os.rename(new, self.path)

        self.model.file = "dangling"
        return link

    def remove(self):
        if self.model.file is None:
            return None
        self.model.file = None
        return self.path.unlink

    def take_directory(self):
        if not self.model.present:
            return None
        self.model.present = False
        return lambda: os.rename(self.scene.directory, self.away)

    def return_directory(self):
        if self.model.present:
            return None
        self.model.present = True
        return lambda: os.rename(self.away, self.scene.directory)

    def break_main(self):
        if not self.model.main:
            return None
        self.model.main = False
        return lambda: replace(self.scene.main, MAIN_IS_BROKEN)

    def mend_main(self):
        if self.model.main:
            return None
        self.model.main = True
        return lambda: replace(self.scene.main, self.good_main)

    def restart(self):
        if not self.model.main:
            return None
        how = self.chance.choice([signal.SIGTERM, signal.SIGKILL])
        return lambda: self.scene.restart(self.model.served, how=how)

    OPERATIONS = [
        write, write, write, write_in_place, break_it, break_the_tenant, empty, dangle, remove,
        take_directory, return_directory, return_directory, break_main, mend_main, mend_main,
        restart,
    ]

    def step(self):
        operation = self.chance.choice(self.OPERATIONS)
        before = self.model.served
        path = self.path  # the model moves on first, the action still needs where it is now
        action = operation(self)
        if action is None:
            return
        self.history.append(operation.__name__)
        assert path == self.path or operation in (Walk.take_directory, Walk.return_directory)
        served = self.model.look()
        if served != before:
            wanted = served if served is ABSENT else body(served)
            self.scene.watcher.announce(wanted)
            self.scene.change(action)
            self.scene.watcher.until(wanted)
        elif self.model.main:
            self.scene.stays(action)
        else:
            self.scene.change(action)
            self.scene.hangup()
            self.scene.watcher.more()
            self.scene.watcher.check()


@pytest.mark.parametrize("seed", range(6))
def test_walk(scene, seed):
    walk = Walk(scene(), seed)
    try:
        for _ in range(STEPS):
            walk.step()
    except AssertionError as error:
        raise AssertionError(f"{error}\nafter {', '.join(walk.history)}") from error
    assert len(walk.history) > STEPS / 3
