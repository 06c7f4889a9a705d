/* Shared by the files of this folder: whether a name is already in canonical form. */
#ifndef MTASTS_POLICY_NAMES_H
#define MTASTS_POLICY_NAMES_H

#include "mtasts/domain.h"

/* Lower-case labels of letters, digits, inner hyphens; lengths within RFC 1035 §2.3.4. */
bool sts_name_check_wire(struct sts_str name);

#endif
