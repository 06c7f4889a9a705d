/* Output formats of record sets: one file and one function each, listed in format.c. */
#ifndef MTASTS_DNS_FORMAT_H
#define MTASTS_DNS_FORMAT_H

#include "mtasts/record.h"

typedef void format_render(struct sts_buf *out, const struct sts_record_set *sets, size_t count,
                           bool terminal);

format_render format_table, format_bind, format_json;

#endif
