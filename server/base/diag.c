#include "mtasts/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"

enum { MESSAGE_MAX = 1000 };

void sts_diags_init(struct sts_diags *d, struct sts_arena *arena)
{
    *d = (struct sts_diags){.arena = arena};
    d->tail = &d->first;
}

const char *sts_severity_name(enum sts_severity s)
{
    static const char *const names[] = {"note", "warning", "error"};
    return names[s];
}

/* Input bytes end up in messages, so the result is escaped as a whole: one printable line. */
static struct sts_str format_line(struct sts_arena *arena, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static struct sts_str format_line(struct sts_arena *arena, const char *fmt, va_list ap)
{
    struct sts_buf line = {0};
    char *text;
    int len = vasprintf(&text, fmt, ap);

    if (len < 0)
        abort();
    sts_buf_add_escaped(&line, (struct sts_str){text, (size_t)len}, MESSAGE_MAX);
    struct sts_str copy = sts_arena_dup(arena, sts_buf_str(&line));
    sts_buf_fini(&line);
    free(text);
    return copy;
}

static void link_diag(struct sts_diags *d, struct sts_diag *diag)
{
    if (!d->tail)
        d->tail = &d->first;
    *d->tail = diag;
    d->tail = &diag->next;
    switch (diag->severity) {
    case STS_ERROR:
        d->errors++;
        break;
    case STS_WARNING:
        d->warnings++;
        break;
    case STS_NOTE:
        d->notes++;
        break;
    }
}

struct sts_diag *sts_diag_add(struct sts_diags *d, enum sts_severity severity, const char *code,
                              struct sts_pos where, const char *fmt, ...)
{
    struct sts_diag *diag = STS_NEW(d->arena, struct sts_diag);
    va_list ap;

    diag->severity = severity;
    diag->code = code;
    diag->where = where;
    va_start(ap, fmt);
    diag->message = format_line(d->arena, fmt, ap);
    va_end(ap);
    link_diag(d, diag);
    return diag;
}

void sts_diag_help(struct sts_diags *d, struct sts_diag *diag, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    diag->help = format_line(d->arena, fmt, ap);
    va_end(ap);
}

size_t sts_diags_count(const struct sts_diags *d)
{
    return d->errors + d->warnings + d->notes;
}

void sts_diags_add_copy(struct sts_diags *to, const struct sts_diag *diag)
{
    struct sts_diag *copy = STS_NEW(to->arena, struct sts_diag);

    *copy = *diag;
    copy->where.source = sts_arena_dup(to->arena, diag->where.source);
    copy->tenant = sts_arena_dup(to->arena, diag->tenant);
    copy->message = sts_arena_dup(to->arena, diag->message);
    copy->help = sts_arena_dup(to->arena, diag->help);
    copy->related.source = sts_arena_dup(to->arena, diag->related.source);
    copy->next = NULL;
    link_diag(to, copy);
}

void sts_diags_append(struct sts_diags *to, const struct sts_diags *from)
{
    for (const struct sts_diag *diag = from->first; diag; diag = diag->next)
        sts_diags_add_copy(to, diag);
}

/* What is packed one behind the other: diagnostics, then texts. */
struct pack {
    struct sts_diag *next;
    char *text;
    struct sts_str source; /* of the place before: most often it is the same again */
};

static struct sts_str pack_text(struct pack *p, struct sts_str s)
{
    char *copy = p->text;

    if (s.len)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    p->text += s.len + 1;
    return (struct sts_str){copy, s.len};
}

static struct sts_str pack_source(struct pack *p, struct sts_str source)
{
    if (!p->source.ptr || !sts_str_eq(source, p->source))
        p->source = pack_text(p, source);
    return p->source;
}

/* At most: sources may be packed once for several. */
static size_t packed_size(const struct sts_diags *from)
{
    size_t size = sizeof(struct sts_diags);

    for (const struct sts_diag *d = from->first; d; d = d->next)
        size += sizeof(*d) + d->where.source.len + d->tenant.len + d->message.len + d->help.len +
                d->related.source.len + 5;
    return size;
}

struct sts_diags *sts_diags_pack(const struct sts_diags *from)
{
    size_t size = packed_size(from);

    if (!from->first)
        return NULL;
    struct sts_diags *packed = sts_must(malloc(size));
    struct pack p = {.next = (struct sts_diag *)(packed + 1)};
    sts_diags_init(packed, NULL);
    p.text = (char *)(p.next + sts_diags_count(from));
    for (const struct sts_diag *d = from->first; d; d = d->next) {
        struct sts_diag *copy = p.next++;
        *copy = *d;
        copy->where.source = pack_source(&p, d->where.source);
        copy->tenant = pack_text(&p, d->tenant);
        copy->message = pack_text(&p, d->message);
        copy->help = pack_text(&p, d->help);
        copy->related.source = pack_source(&p, d->related.source);
        copy->next = NULL;
        link_diag(packed, copy);
    }
    return packed;
}
