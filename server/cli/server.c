#include "server/cli/server.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "mtasts/config.h"
#include "server/admin/admin.h"
#include "server/sys/file.h"

/* True when the text says where the ledger is; else `out` is the default. */
static bool says_ledger(struct sts_arena *arena, struct sts_str text, struct sts_str *out)
{
    struct sts_source *source = sts_source_parse(text, STS_STR("-"), true);
    bool says = source->settings.ledger.where.line != 0;

    *out = sts_arena_dup(arena, source->settings.ledger.path);
    sts_source_unref(source);
    return says;
}

/* A file that is no YAML as a whole may still have this line. */
static struct sts_str ledger_of(struct sts_arena *arena, struct sts_str text)
{
    struct sts_str ledger;
    bool found = says_ledger(arena, text, &ledger);

    for (size_t at = 0; !found && at < text.len;) {
        size_t end = sts_str_find(text, '\n', at);
        struct sts_str line = sts_str_sub(text, at, end);
        if (sts_str_starts(line, STS_STR("ledger:")))
            found = says_ledger(arena, line, &ledger);
        at = end + 1;
    }
    return ledger;
}

bool server_find(struct sts_arena *arena, const char *config, struct sts_str *socket)
{
    struct sts_buf text = {0};
    bool readable = file_read(config, STS_SOURCE_MAX, &text, NULL) == 0;
    int error = errno;

    if (readable) {
        struct sts_str ledger = ledger_of(arena, sts_buf_str(&text));
        struct sts_str base = file_dirname(arena, sts_str_from(config));
        *socket = sts_arena_printf(arena, "%.*s.sock", STS_ARG(file_resolve(arena, base, ledger)));
    }
    sts_buf_fini(&text);
    errno = error;
    return readable;
}

struct sts_str server_main_file(struct sts_arena *arena, const char *config)
{
    char *directory = *config == '/' ? NULL : getcwd(NULL, 0);
    struct sts_str name = sts_str_from(config);

    name =
        directory ? file_resolve(arena, sts_str_from(directory), name) : sts_arena_dup(arena, name);
    free(directory);
    return name;
}

json_t *server_ask(struct sts_str socket, json_t *request, uint64_t timeout_ms)
{
    struct sts_buf question = {0}, reply = {0};
    json_t *answer = NULL;

    sts_json_render(&question, request, false);
    if (admin_ask(socket.ptr, sts_buf_str(&question), timeout_ms, &reply) == 0) {
        answer = json_loadb(reply.ptr, reply.len, JSON_REJECT_DUPLICATES, NULL);
        errno = EPROTO;
    }
    if (answer && !json_is_object(answer)) {
        json_decref(answer);
        answer = NULL;
    }
    int error = errno;
    sts_buf_fini(&question);
    sts_buf_fini(&reply);
    errno = error;
    return answer;
}

void server_counts_text(struct sts_buf *out, const json_t *counts)
{
    static const struct {
        const char *key, *before, *after;
    } parts[] = {{"without_certificate", ", ", " without certificate"},
                 {"kept", " (", " kept as before)"},
                 {"retiring", ", ", " retiring"},
                 {"refused", ", ", " refused"}};

    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        long long count = json_integer_value(json_object_get(counts, parts[i].key));
        if (count)
            sts_buf_printf(out, "%s%lld%s", parts[i].before, count, parts[i].after);
    }
}
