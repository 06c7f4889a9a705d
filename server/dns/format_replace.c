/* For formats that change a zone: which records go when those of a set come, and sh(1). */
#include "server/dns/format.h"

bool format_owner_begins(const struct sts_record_set *set, size_t i)
{
    return i == 0 || !sts_str_eq(set->records[i].owner, set->records[i - 1].owner);
}

bool format_has(const struct sts_record_set *set, struct sts_str owner, enum sts_rr_type type)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->records[i].type == type && sts_str_eq(set->records[i].owner, owner))
            return true;
    return false;
}

bool format_is_host(struct sts_str owner)
{
    return sts_str_starts(owner, STS_STR("mta-sts."));
}

bool format_replaces(const struct sts_record_set *set, struct sts_str owner, enum sts_rr_type type)
{
    switch (type) {
    case STS_RR_CNAME:
        return true;
    case STS_RR_TXT:
        return !format_is_host(owner);
    case STS_RR_A:
    case STS_RR_AAAA:
        return format_is_host(owner);
    case STS_RR_CAA: /* not ours when there are none, but nothing may stand beside a CNAME */
        return format_is_host(owner) &&
               (format_has(set, owner, type) || format_has(set, owner, STS_RR_CNAME));
    }
    return false;
}

void format_add_sh(struct sts_buf *out, struct sts_str word)
{
    sts_buf_add(out, STS_STR("'"));
    for (size_t i = 0; i < word.len; i++)
        if (word.ptr[i] == '\'')
            sts_buf_add(out, STS_STR("'\\''"));
        else
            sts_buf_add(out, sts_str_sub(word, i, i + 1));
    sts_buf_add(out, STS_STR("'"));
}

void format_add_rdata_sh(struct sts_buf *out, const struct sts_record *r)
{
    struct sts_buf rdata = {0};

    format_add_rdata(&rdata, r);
    format_add_sh(out, sts_buf_str(&rdata));
    sts_buf_fini(&rdata);
}
