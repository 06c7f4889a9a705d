#!/usr/bin/python3
"""Which folder may use what. Arrows point down only; a layer may skip, never climb. And no name of a
function stands in two files.

    tests/layers/check.py [ARCHIVE]      ARCHIVE: libmtasts.a, whose undefined symbols are checked

The tables below are the rules; the rest of the file only applies them.
"""

import pathlib
import re
import subprocess
import sys

# Layer of each folder of server/. A folder may use any folder of a lower layer.
LAYERS = {
    "base": 0,
    "policy": 1, "dns": 1,
    "config": 2,
    "sys": 3, "ledger": 3,
    "tls": 4, "probe": 4,
    "snapshot": 5,
    "http": 6, "admin": 6,
    "daemon": 7,
    "cli": 8,
}  # fmt: skip

# Arrows inside one layer, public headers only.
SIDEWAYS = {("dns", "policy"), ("admin", "http")}

# The pure core: its folders show the world include/mtasts/ only. base lends the others its helpers.
CORE = {"base", "policy", "dns", "config"}

# The folder that implements each public header.
PUBLIC = {
    "str": "base", "arena": "base", "diag": "base",
    "domain": "policy", "policy": "policy",
    "record": "dns",
    "config": "config",
}  # fmt: skip

# Libraries and system interfaces that belong to some folders alone.
HEADERS = [
    (r"h2o(\.h|/.*)", {"http", "admin"}),
    (r"openssl/(ssl|x509|pem|tls1|ocsp).*", {"tls", "probe"}),
    (r"openssl/sha\.h", {"policy", "dns", *(set(LAYERS) - CORE)}),  # a digest is only bytes
    (r"openssl/.*", {"tls", "probe", "policy"}),
    (r"sqlite3\.h", {"ledger"}),
    (r"yaml\.h", {"config"}),
    (r"ldns/.*", {"cli"}),
    (r"jansson\.h", {"base", "admin"}),
    (r"(idn2|libpsl)\.h", {"policy"}),
    (r"systemd/.*", {"sys", "daemon"}),
    (r"sys/auxv\.h", {"base"}),  # the key of hashes, which differs from process to process
    (r"sys/un\.h", {"config", *(set(LAYERS) - CORE)}),  # how long the path of a socket may be
    (r"(pthread|threads|syslog|signal|fcntl|unistd|poll|dirent|glob|netdb|locale)\.h|sys/.*",
     set(LAYERS) - CORE),
]
# `version` names the libraries that the program runs with.
EVERY_HEADER = {"server/cli/version.c"}
TOKENS = [
    (r"\b(SSL|X509|BIO)_\w", {"tls", "probe"}),
    (r"\bh2o_\w", {"http", "admin"}),
]

# What the core may ask of other libraries: memory and text, never the outside world.
SYMBOLS = re.compile(
    r"""(?x)
    mem(cpy|move|set|cmp|chr|rchr|mem|pcpy) | malloc | calloc | realloc | reallocarray | free
    | str(len|nlen|cmp|ncmp|chr|rchr|str|spn|cspn|pbrk|casecmp|ncasecmp|dup|ndup)
    | strto(l|ul|ll|ull|imax|umax|d) | v?snprintf | v?asprintf | qsort | qsort_r | bsearch
    | gmtime_r | timegm | strftime | abort | assert_fail | stack_chk_fail
    | _?setjmp | longjmp | getauxval | __errno_location | errno_location
    | _GLOBAL_OFFSET_TABLE_ | __tls_get_addr
    | SHA256 | EVP_(Digest|sha256|MD_CTX_(new|free)|DigestInit_ex|DigestUpdate|DigestFinal_ex)
    | idn2_(lookup_u8|register_u8|to_ascii_8z|to_unicode_8z8z|strerror|strerror_name|free|check_version)
    | psl_(builtin|is_public_suffix2?|registrable_domain|unregistrable_domain|free_string)
    | yaml_(parser_(initialize|delete|set_input_string|set_encoding|parse|scan)|(event|token)_delete)
    | json_(?!load_file|loadf|dump_file|dumpf|dumpfd|loadfd).*
    | inet_(pton|ntop)
    """
)
# arena.c (server/base/memory.h) alone may say why it ends the program.
LAST_WORDS = re.compile(r"fputs|fwrite|stderr")
# Instrumentation and hardening of the compiler.
IGNORED = re.compile(r"__(asan|ubsan|tsan|sanitizer|lsan|sancov|stack_chk|gcov)_?.*|_GLOBAL__.*")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.S)


def code_of(text):
    """The text without comments and string literals, line count kept."""
    return COMMENT.sub(lambda m: "\n" * m.group(0).count("\n"), text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def may_use(user, used, public):
    """Whether folder `user` may include a header of folder `used`."""
    if user == used:
        return True
    if not public and used in CORE and used != "base":
        return False
    if public and (user, used) in SIDEWAYS:
        return True
    return LAYERS[used] < LAYERS[user]


def check_include(folder, bracket, header):
    """What is wrong with this include in `folder`, or None."""
    public = re.fullmatch(r"mtasts/(\w+)\.h", header)
    private = re.fullmatch(r"server/(\w+)/(\w+)\.h", header)
    if public:
        used = PUBLIC.get(public.group(1))
        if used is None:
            return f"{header} has no folder in the table PUBLIC"
        return None if may_use(folder, used, True) else f"{folder} may not use {used}"
    if private:
        used = private.group(1)
        if used not in LAYERS:
            return f"folder {used} has no layer"
        sideways = (folder, used) in SIDEWAYS and used not in CORE
        ok = sideways or may_use(folder, used, False)
        return None if ok else f"{folder} may not use {used}'s own headers"
    if bracket == '"':
        return f'"{header}" is neither "mtasts/..." nor "server/..."'
    for pattern, folders in HEADERS:
        if re.fullmatch(pattern, header):
            if folder not in folders:
                return f"<{header}> is for {', '.join(sorted(folders))} only"
            return None
    return None


def check_sources(top):
    """All violations in the sources below `top`, as text."""
    problems = []
    files = sorted(top.glob("server/*/*.[ch]")) + sorted(top.glob("include/mtasts/*.h"))
    for path in files:
        name = path.relative_to(top)
        folder = PUBLIC.get(path.stem) if name.parts[0] == "include" else name.parts[1]
        if folder not in LAYERS:
            problems.append(f"{name}:1: belongs to no layer")
            continue
        text = path.read_text(encoding="utf-8")
        for match in INCLUDE.finditer(text):
            problem = check_include(folder, match.group(1), match.group(2))
            if match.group(1) == "<" and str(name) in EVERY_HEADER:
                continue
            if problem:
                problems.append(f"{name}:{line_of(text, match.start())}: {problem}")
        code = code_of(text)
        for pattern, folders in TOKENS:
            for match in re.finditer(pattern, code):
                if folder not in folders:
                    where = f"{name}:{line_of(code, match.start())}"
                    problems.append(f"{where}: {match.group(0)}... is for {sorted(folders)} only")
    return problems


# A definition begins at the start of a line and has its braces there, too.
FUNCTION = re.compile(r"^[A-Za-z_][\w \t*]*?\b(\w+)\((?:[^()]|\([^()]*\))*\)\s*^\{", re.M)


def check_names(top):
    """Functions, static ones too, whose name stands in two files: grep and a stack trace would not
    tell which is meant."""
    places = {}
    for path in sorted(top.glob("server/*/*.c")):
        code = code_of(path.read_text(encoding="utf-8"))
        for match in FUNCTION.finditer(code):
            places.setdefault(match.group(1), []).append(
                f"{path.relative_to(top)}:{line_of(code, match.start(1))}"
            )
    return [f"{found[1]}: {name} is a function in {found[0]}, too"
            for name, found in sorted(places.items()) if len(found) > 1]  # fmt: skip


def parse_nm(text):
    """{object: (defined, undefined)} of `nm -g --format=posix` over an archive."""
    objects, current = {}, None
    for line in text.splitlines():
        header = re.fullmatch(r".*\[(.+)\]:", line)
        if header:
            current = objects.setdefault(header.group(1), (set(), set()))
        elif line.strip() and current is not None:
            name, kind = line.split()[:2]
            current[1 if kind in "Uw" else 0].add(name)
    return objects


def check_symbols(nm_output):
    """All symbols of the core that reach outside, as text."""
    objects = parse_nm(nm_output)
    own = set().union(*(defined for defined, _ in objects.values())) if objects else set()
    problems = [] if objects else ["the archive is empty"]
    for name, (_, undefined) in sorted(objects.items()):
        for symbol in sorted(undefined - own):
            plain = re.fullmatch(r"(?:__isoc\d\d_)?(?:__)?(\w+?)(?:_chk)?(?:@.*)?", symbol).group(1)
            if SYMBOLS.fullmatch(symbol) or SYMBOLS.fullmatch(plain) or IGNORED.match(symbol):
                continue
            if name == "arena.o" and LAST_WORDS.fullmatch(plain):
                continue
            problems.append(f"libmtasts.a({name}): {symbol} is not for the pure core")
    return problems


def nm(archive):
    return subprocess.run(
        ["nm", "-g", "--format=posix", str(archive)], capture_output=True, text=True, check=True
    ).stdout


def main(arguments):
    top = pathlib.Path(__file__).resolve().parents[2]
    problems = check_sources(top) + check_names(top)
    for archive in arguments:
        problems += check_symbols(nm(archive))
    print(*problems, sep="\n", end="\n" if problems else "")
    if not problems:
        print("layers: every arrow points down" + ("; the core is pure" if arguments else ""))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
