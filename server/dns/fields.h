/* The field grammar that _mta-sts and _smtp._tls share (RFC 8461 §3.1, RFC 8460 §3): a version,
 * then fields "name=value", each introduced by ";", one more ";" allowed at the end. */
#ifndef MTASTS_DNS_FIELDS_H
#define MTASTS_DNS_FIELDS_H

#include "mtasts/record.h"

struct fields {
    struct sts_str value; /* the whole TXT value */
    struct sts_str source;
    struct sts_diags *diags;
    const char *prefix;  /* of diagnostic codes: "txt" or "tlsrpt" */
    const char *version; /* "v=STSv1" */
    size_t at;
};

struct field {
    struct sts_str name, value;
    size_t name_at, value_at; /* offsets in the value */
};

/* Checks version and first semicolon. False when the record cannot be selected at all. */
bool fields_begin(struct fields *f);
/* The next field; false at the end or at an error (then diags->errors grew). */
bool fields_next(struct fields *f, struct field *out);
/* An error or warning at an offset of the value; code is prefix-SUFFIX, from a static table. */
struct sts_diag *fields_report(struct fields *f, enum sts_severity severity, const char *code,
                               size_t at, const char *message, const char *help);
/* Whether an extension field may have this value (T6). */
bool fields_is_value(struct sts_str value);
/* Name and value of an extension field (T6); reports. `known` is the name it may be a slip of. */
bool fields_check_extension(struct fields *f, const struct field *field, const char *known);

#endif
