/* The settings' defaults. */
#ifndef MTASTS_CONFIG_BIND_SETTINGS_H
#define MTASTS_CONFIG_BIND_SETTINGS_H

#include "server/config/schema.h"

void settings_defaults(struct sts_settings *settings);

#endif
