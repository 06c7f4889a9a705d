/* Handler: the one answer to a request, and its line in the log. */
#ifndef MTASTS_HTTP_HANDLER_H
#define MTASTS_HTTP_HANDLER_H

#include "server/http/guard.h"

/* Sets up libh2o's configuration so that every request ends here. */
void handler_configure(h2o_globalconf_t *config);

#endif
