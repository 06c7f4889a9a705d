/* The settings as a whole: what they are when nothing is written, and what does not fit together
 * although each value is right. */
#ifndef MTASTS_CONFIG_BIND_SETTINGS_H
#define MTASTS_CONFIG_BIND_SETTINGS_H

#include "server/config/schema.h"

void settings_defaults(struct sts_settings *settings);

void settings_check(struct binder *b, const struct yaml_node *root);

#endif
