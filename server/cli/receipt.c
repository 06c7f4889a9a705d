/* Receipts: what was printed, so that exactly this can be called published once it is in DNS, and
 * not what changed meanwhile. */
#include <errno.h>
#include <string.h>

#include "mtasts/domain.h"
#include "server/cli/select.h"
#include "server/sys/clock.h"
#include "server/sys/file.h"

enum { RECEIPT_MAX = 1 << 30 };

bool receipt_write(const struct selection *s, const char *path)
{
    struct sts_buf text = {0};

    for (size_t i = 0; i < s->count; i++) {
        const struct chosen *c = &s->chosen[i];
        if (c->id[0])
            sts_buf_printf(&text, "%.*s %s\n", STS_ARG(c->domain), c->tenant ? c->id : "-");
    }
    bool good = file_write_atomic(path, sts_buf_str(&text), 0600) == 0;
    if (!good)
        output_error("%s %s", path, file_error(errno));
    sts_buf_fini(&text);
    return good;
}

static bool receipt_parse_line(struct selection *s, struct sts_str line,
                               struct ledger_published *out)
{
    size_t blank = sts_str_find(line, ' ', 0);
    struct sts_str domain = sts_str_sub(line, 0, blank),
                   id = sts_str_sub(line, blank + 1, line.len);
    struct ledger_instance known;
    struct sts_diags ignored;

    sts_diags_init(&ignored, s->arena);
    if (sts_str_is(id, "-"))
        id = (struct sts_str){0};
    else if (!sts_id_check(id))
        return false;
    *out = (struct ledger_published){domain, id};
    return sts_domain_parse(s->arena, domain, STS_DOMAIN_WIRE, (struct sts_pos){0}, &ignored,
                            &domain) &&
           ledger_latest(s->ledger, s->arena, domain, &known, &s->diags);
}

/* All lines or none. */
static bool receipt_parse(struct selection *s, struct sts_str text, const char *path,
                          struct ledger_published *items, size_t *count)
{
    uint32_t number = 1;

    for (size_t at = 0; at < text.len; number++) {
        size_t end = sts_str_find(text, '\n', at);
        if (!receipt_parse_line(s, sts_str_sub(text, at, end), &items[*count])) {
            struct sts_pos where = {sts_str_from(path), number, 1};
            struct sts_diag *diag =
                sts_diag_add(&s->diags, STS_ERROR, "receipt-line", where,
                             "this is not the name and id of a tenant in the ledger");
            sts_diag_help(&s->diags, diag, "write DOMAIN ID, or what records --receipt wrote");
            return false;
        }
        ++*count;
        at = end + 1;
    }
    return true;
}

static size_t receipt_count_lines(struct sts_str text)
{
    size_t lines = 0;

    for (size_t at = 0; at < text.len; at = sts_str_find(text, '\n', at) + 1)
        lines++;
    return lines;
}

bool receipt_mark(struct selection *s, const char *path)
{
    const struct sts_path *setting = &s->snapshot->settings.ledger;
    struct sts_str ledger = file_resolve(s->arena, s->snapshot->base_dir, setting->path);
    struct sts_buf text = {0};
    size_t count = 0;

    if (file_read(path, RECEIPT_MAX, &text, NULL) != 0) {
        output_error("%s %s", path, file_error(errno));
        return false;
    }
    struct sts_str all = sts_buf_str(&text);
    struct ledger_published *items =
        STS_ARRAY(s->arena, receipt_count_lines(all), struct ledger_published);
    s->ledger = ledger_open(ledger.ptr, LEDGER_WRITE, setting->where, &s->diags);
    bool good = s->ledger && receipt_parse(s, all, path, items, &count) &&
                ledger_mark_published(s->ledger, items, count, clock_wall(), &s->diags);
    sts_buf_fini(&text);
    return good;
}
