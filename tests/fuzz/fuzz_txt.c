/* Fuzz: any text as the value of a _mta-sts or _smtp._tls TXT record (RFC 8461 §3.1, RFC 8460 §3).
 * What is accepted is rendered in every format, and each record stays one record. */
#include <assert.h>
#include <stdint.h>

#include "mtasts/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Nothing but printable ASCII and newlines gets into what people read, whatever came in. */
static void check_diags(const struct sts_diags *diags)
{
    struct sts_buf text = {0};

    for (const struct sts_diag *d = diags->first; d; d = d->next)
        sts_diag_render_text(&text, d, false);
    for (size_t i = 0; i < text.len; i++)
        assert(text.ptr[i] == '\n' || (text.ptr[i] >= ' ' && text.ptr[i] < 0x7f));
    sts_buf_fini(&text);
    sts_diags_render_json(&text, diags);
    for (size_t i = 0; i < text.len; i++)
        assert((unsigned char)text.ptr[i] >= ' ');
    sts_buf_fini(&text);
}

/* Two of them, as the first and the last of a zone. */
static void render(struct sts_buf *out, const struct sts_record_format *format,
                   const struct sts_record_set *set, bool terminal)
{
    size_t batch = 0;
    struct sts_format_context c = {.terminal = terminal, .relative = terminal, .batch = &batch};

    if (format->begin)
        format->begin(out, &c);
    for (; c.index < 2; c.index++) {
        c.zone_begins = c.index == 0;
        c.zone_ends = c.index == 1;
        format->set(out, &c, set);
    }
    if (format->end)
        format->end(out, &c);
}

static void check_formats(const struct sts_record_set *set)
{
    for (const struct sts_record_format *format = sts_record_formats; format->name; format++) {
        struct sts_buf out = {0};

        for (int terminal = 0; terminal < 2; terminal++) {
            render(&out, format, set, terminal);
            for (size_t i = 0; i < out.len; i++)
                assert(out.ptr[i] == '\n' || out.ptr[i] == '\t' || out.ptr[i] == '\033' ||
                       (out.ptr[i] >= ' ' && out.ptr[i] < 0x7f));
            sts_buf_fini(&out);
        }
    }
}

static void check_set(struct sts_arena *arena, struct sts_str id, const struct sts_tlsrpt *tlsrpt)
{
    struct sts_record_set set;
    struct sts_buf bind = {0};

    sts_record_set_make(arena,
                        &(struct sts_record_input){.domain = STS_STR("example.org"),
                                                   .id = id,
                                                   .ttl_id = 300,
                                                   .policy_host = STS_STR("policy.example.net"),
                                                   .rua = tlsrpt->rua,
                                                   .rua_count = tlsrpt->rua_count},
                        &set);
    check_formats(&set);
    render(&bind, sts_record_format_find(STS_STR("bind")), &set, false);
    size_t lines = 0, start = 0;
    while (start < bind.len) { /* a line that is no comment is one record */
        size_t end = sts_str_find(sts_buf_str(&bind), '\n', start);
        lines += end > start && bind.ptr[start] != ';';
        start = end + 1;
    }
    assert(lines == 2 * set.count);
    sts_buf_fini(&bind);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sts_arena *arena = sts_arena_new();
    struct sts_diags diags;
    struct sts_str in = {(const char *)data, size}, id = {0}, again;
    struct sts_tlsrpt tlsrpt = {0};
    struct sts_buf value = {0};

    sts_diags_init(&diags, arena);
    if (sts_txt_parse(arena, in, STS_STR("fuzz"), &diags, &id)) {
        assert(sts_id_check(id));
        sts_txt_render(&value, id);
        assert(sts_txt_parse(arena, sts_buf_str(&value), STS_STR("again"), &diags, &again));
        assert(sts_str_eq(id, again));
        check_set(arena, id, &tlsrpt);
    }
    if (sts_tlsrpt_parse(arena, in, STS_STR("fuzz"), &diags, &tlsrpt))
        check_set(arena, STS_STR("20260101000000"), &tlsrpt);
    check_diags(&diags);
    sts_buf_fini(&value);
    sts_arena_free(arena);
    return 0;
}
