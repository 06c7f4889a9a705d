/* The style and the script of the html format: page.css and page.js, as they are in the source. */
#ifndef MTASTS_DNS_PAGE_H
#define MTASTS_DNS_PAGE_H

#include "mtasts/str.h"

struct sts_str page_style(void);
struct sts_str page_script(void);

/* The Content-Security-Policy that admits these two by their hashes, and nothing else at all. */
void page_add_policy(struct sts_buf *out);

#endif
