/* The lexical rules of RFC 8461 §3.2 that are about bytes, not about meaning. */
#ifndef MTASTS_POLICY_TEXT_H
#define MTASTS_POLICY_TEXT_H

#include "mtasts/str.h"

/* sts-policy-ext-value: printable ASCII, inner SP, well-formed UTF-8 (RFC 3629), not empty. */
bool sts_text_is_extension(struct sts_str value);
/* Whether a well-formed value has U+0080 to U+009F: the rule admits them, its comment does not. */
bool sts_text_has_c1(struct sts_str value);
bool sts_text_is_ascii(struct sts_str s);
/* Position of the first control character other than HTAB, or s.len. */
size_t sts_text_find_control(struct sts_str s);
bool sts_text_is_blank(char c); /* WSP of RFC 5234 */

#endif
