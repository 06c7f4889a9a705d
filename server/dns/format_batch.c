/* JSON documents of a limited size, one a line. */
#include "server/dns/format.h"

void format_batch_end(struct sts_buf *out, const struct sts_format_context *c)
{
    if (*c->batch)
        sts_buf_add(out, STS_STR("]}\n"));
    *c->batch = 0;
}

void format_batch_next(struct sts_buf *out, const struct sts_format_context *c,
                       const struct format_batch *batch, struct sts_str head, size_t cost)
{
    if (*c->batch && cost && *c->batch + cost > batch->limit)
        format_batch_end(out, c);
    if (*c->batch)
        sts_buf_add(out, STS_STR(","));
    else
        sts_buf_printf(out, "{%.*s\"%s\":[", STS_ARG(head), batch->name);
    *c->batch += cost;
}
