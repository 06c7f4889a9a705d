"""How programs write files: each takes a path and the new text."""

import mmap
import os
import shutil
import subprocess
import time


def rename_over(path, text):
    """mv, and most programs that mean well."""
    new = path.with_name("new")
    new.write_text(text)
    os.rename(new, path)


def move_from_elsewhere(path, text):
    """A new file that comes from another directory."""
    new = path.parent.parent / "elsewhere"
    new.write_text(text)
    os.rename(new, path)


def vim(path, text):
    """'backupcopy' no: tries whether it may create files, moves the old one away, writes anew."""
    swap = path.with_name(f".{path.name}.swp")
    swap.write_bytes(b"b0VIM 9.0")
    probe = path.with_name("4913")
    probe.touch()
    probe.unlink()
    backup = path.with_name(path.name + "~")
    os.rename(path, backup)
    write_and_sync(path, text)
    backup.unlink()
    swap.unlink()


def vim_backup_copy(path, text):
    """'backupcopy' yes: copies the old one away, writes over it."""
    backup = path.with_name(path.name + "~")
    shutil.copy2(path, backup)
    write_and_sync(path, text)
    backup.unlink()


def emacs(path, text):
    """A lock that is a dangling link, an auto-save file, a backup by rename that stays."""
    lock = path.with_name(f".#{path.name}")
    os.symlink("someone@host.1234:1700000000", lock)
    saved = path.with_name(f"#{path.name}#")
    saved.write_text(text[: len(text) // 2])
    os.rename(path, path.with_name(path.name + "~"))
    write_and_sync(path, text)
    saved.unlink()
    lock.unlink()


def write_and_sync(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def sed_in_place(path, text):
    """sed -i: a new file with a name of its own, renamed."""
    subprocess.run(["sed", "-i", "-n", "$r /dev/stdin", str(path)], input=text.encode(), check=True)


def truncate_and_write(path, text):
    """cp, and the shell's >: the same inode, empty for a moment."""
    path.write_text(text)


def write_over(path, text):
    """The same inode, written over without being empty first."""
    with open(path, "r+", encoding="utf-8") as file:
        file.write(text)
        file.truncate()


def bytewise(path, text):
    """A write a byte: any prefix is in the file for a moment."""
    fd = os.open(path, os.O_WRONLY | os.O_TRUNC)
    for byte in text.encode():
        os.write(fd, bytes([byte]))
    os.close(fd)


def memory_mapped(path, text):
    """No write(2) at all: the kernel tells of the closing only."""
    data = text.encode()
    with open(path, "r+b") as file:
        file.truncate(len(data))
        with mmap.mmap(file.fileno(), len(data)) as memory:
            memory[:] = data


def git_checkout(path, text):
    """The old one is removed, the new one created."""
    path.unlink()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    os.write(fd, text.encode())
    os.close(fd)


def rsync(path, text):
    """A hidden temporary file with the modification time of the source, renamed."""
    temporary = path.with_name(f".{path.name}.Xa3dQz")
    temporary.write_text(text)
    os.utime(temporary, (1_000_000_000, 1_000_000_000))
    os.rename(temporary, path)


def hard_link(path, text):
    """Removed and linked to a file that existed before."""
    ready = path.parent.parent / "ready"
    ready.write_text(text)
    path.unlink()
    os.link(ready, path)


def hard_link_elsewhere(path, text):
    """Written through another name of the same inode, in a directory that nobody watches."""
    other = path.parent.parent / "elsewhere"
    if not other.exists():
        os.link(path, other)
    other.write_text(text)


def exchange(path, text):
    """renameat2(2) RENAME_EXCHANGE, as some package managers do."""
    new = path.with_name("exchanged")
    new.write_text(text)
    subprocess.run(
        ["/usr/bin/python3", "-c", EXCHANGE, str(new), str(path)], check=True, timeout=60
    )
    new.unlink()


EXCHANGE = """
import ctypes, os, sys
AT_FDCWD, RENAME_EXCHANGE = -100, 2
libc = ctypes.CDLL(None, use_errno=True)
args = [os.fsencode(a) for a in sys.argv[1:]]
if libc.renameat2(AT_FDCWD, args[0], AT_FDCWD, args[1], RENAME_EXCHANGE):
    raise OSError(ctypes.get_errno(), "renameat2")
"""


def same_size_and_time(path, text):
    """A comparison of sizes and modification times sees nothing."""
    before = path.stat()
    new = path.with_name("new")
    new.write_text(text)
    assert new.stat().st_size == before.st_size
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.rename(new, path)


def same_size_and_time_in_place(path, text):
    before = path.stat()
    write_over(path, text)
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def older(path, text):
    """tar, cp -p: the new file is older than the one before."""
    new = path.with_name("new")
    new.write_text(text)
    past = time.time() - 365 * 86400
    os.utime(new, (past, past))
    os.rename(new, path)


# Each leaves the old or the new file there at any moment, or is a writer that a reader can see.
WHOLE = [
    rename_over,
    move_from_elsewhere,
    vim_backup_copy,
    sed_in_place,
    truncate_and_write,
    write_over,
    bytewise,
    memory_mapped,
    rsync,
    exchange,
    same_size_and_time,
    same_size_and_time_in_place,
    older,
]
# For a moment there is no file; only the quiet time that is waited for tells this from a removal.
WITH_GAP = [vim, emacs, git_checkout, hard_link]
