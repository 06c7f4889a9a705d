"""The layer check must notice each kind of violation, and let through what is allowed."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import check  # noqa: E402

VIOLATIONS = {
    "climbs": ("server/policy/a.c", '#include "mtasts/config.h"\n'),
    "sideways": ("server/policy/a.c", '#include "mtasts/record.h"\n'),
    "private header of the core": ("server/dns/a.c", '#include "server/policy/lint.h"\n'),
    "private header of the core from far above": (
        "server/cli/a.c", '#include "server/config/tree.h"\n'),
    "climbs in the shell": ("server/tls/a.c", '#include "server/http/http.h"\n'),
    "shell from the core": ("server/config/a.c", '#include "server/sys/file.h"\n'),
    "public header climbs": ("include/mtasts/str.h", '#include "mtasts/policy.h"\n'),
    "relative include": ("server/base/a.c", '#include "memory.h"\n'),
    "indented include": ("server/base/a.c", '# include "server/cli/cli.h"\n'),
    "library of another folder": ("server/cli/a.c", "#include <h2o.h>\n"),
    "system interface in the core": ("server/config/a.c", "#include <sys/stat.h>\n"),
    "TLS outside tls": ("server/http/a.c", "void f(void *s) { SSL_free(s); }\n"),
    "certificate outside tls": ("server/snapshot/a.c", "X509_NAME *n;\n"),
    "h2o outside http": ("server/daemon/a.c", "int h2o_send(void);\n"),
    "unknown folder": ("server/utils/a.c", "int x;\n"),
    "unknown public header": ("include/mtasts/misc.h", "int x;\n"),
}  # fmt: skip

ALLOWED = {
    "down": ("server/config/a.c", '#include "mtasts/policy.h"\n#include "mtasts/record.h"\n'),
    "skips": ("server/cli/a.c", '#include "mtasts/str.h"\n#include "server/sys/log.h"\n'),
    "base's helpers": ("server/dns/a.c", '#include "server/base/json.h"\n'),
    "listed sideways": ("server/dns/a.c", '#include "mtasts/policy.h"\n'),
    "own header": ("server/http/a.c", '#include "server/http/http.h"\n#include <h2o.h>\n'),
    "a comment may name it": ("server/cli/a.c", "/* h2o_send and\n SSL_read */ // X509_free\n"),
    "a message may name it": ("server/cli/a.c", 'const char *s = "h2o_ \\" SSL_";\n'),
}


def write(top, name, text):
    path = top / name
    path.parent.mkdir(parents=True)
    path.write_text(text)


@pytest.mark.parametrize("case", VIOLATIONS)
def test_violation_is_found(case, tmp_path):
    name, text = VIOLATIONS[case]
    write(tmp_path, name, text)
    problems = check.check_sources(tmp_path)
    assert len(problems) == 1 and problems[0].startswith(name), problems


@pytest.mark.parametrize("case", ALLOWED)
def test_allowed_is_let_through(case, tmp_path):
    write(tmp_path, *ALLOWED[case])
    assert check.check_sources(tmp_path) == []


@pytest.mark.parametrize("other", ["static int take(int x)\n{\n}\n",
                                   "struct a *take(const char *(*f)(void),\n               int y)\n{\n}\n"])
def test_function_of_two_files_is_found(other, tmp_path):
    write(tmp_path, "server/base/a.c", "static void take(void);\n\nstatic void take(void)\n{\n}\n")
    write(tmp_path, "server/http/b.c", other)
    (problem,) = check.check_names(tmp_path)
    assert problem.startswith("server/http/b.c:1: take ") and "server/base/a.c:3" in problem


def test_function_of_one_file_is_let_through(tmp_path):
    write(tmp_path, "server/base/a.c", "int take(void);\nint f(void)\n{\n    return take();\n}\n")
    write(tmp_path, "server/http/b.c", "/* int f(void)\n{ */\nint take(void)\n{\n    f();\n}\n")
    assert check.check_names(tmp_path) == []


def listing(name, *undefined):
    lines = [f"libmtasts.a[{name}]:", "sts_a T 0 1", "libmtasts.a[other.o]:", "sts_b T 0 1"]
    return "\n".join(lines[:2] + [f"{symbol} U         " for symbol in undefined] + lines[2:])


@pytest.mark.parametrize(
    "symbol",
    ["open", "openat64", "socket", "time", "clock_gettime", "getenv", "printf", "__printf_chk",
     "fprintf", "fopen64", "stderr", "fputs", "rand", "pthread_create", "system", "setlocale",
     "json_dump_file", "yaml_parser_set_input_file", "localtime_r", "getrandom", "syslog",
     "__errno_location_x", "SSL_new"],
)  # fmt: skip
def test_impure_symbol_is_found(symbol):
    assert check.check_symbols(listing("a.o", symbol)) != []


def test_pure_symbols_are_let_through():
    pure = ["memcpy", "__memcpy_chk", "__vsnprintf_chk", "sts_b", "__stack_chk_fail", "json_object",
            "__assert_fail", "yaml_parser_parse", "__asan_report_load8", "__isoc23_strtoul"]
    assert check.check_symbols(listing("a.o", *pure)) == []


def test_arena_may_say_why():
    assert check.check_symbols(listing("arena.o", "fputs", "stderr", "abort")) == []
    assert check.check_symbols(listing("arena.o", "fopen")) != []


def test_empty_archive_is_a_violation():
    assert check.check_symbols("") != []


def test_all_folders_of_the_tree_are_known():
    top = pathlib.Path(__file__).resolve().parents[2]
    assert check.check_sources(top) == []


def test_no_name_of_the_tree_stands_in_two_files():
    top = pathlib.Path(__file__).resolve().parents[2]
    assert check.check_names(top) == []
