/* The running server, as commands ask it. Where it is, the main file says: beside the ledger. */
#ifndef MTASTS_CLI_SERVER_H
#define MTASTS_CLI_SERVER_H

#include "server/base/json.h"

/* The socket of the server that runs with this main file, also when the file has errors. False with
 * errno when the file cannot be read: nobody knows where it is. */
bool server_find(struct sts_arena *arena, const char *config, struct sts_str *socket);

/* The name by which a server, which runs elsewhere, finds this main file: absolute. */
struct sts_str server_main_file(struct sts_arena *arena, const char *config);

/* Asks (and releases `request`); NULL with errno as of admin_ask, EPROTO also for a reply that
 * makes no sense. An object with "error" is a reply. */
json_t *server_ask(struct sts_str socket, json_t *request, uint64_t timeout_ms);

/* Behind how many are served: what else the counts of a snapshot say, "" or ", 1 refused". */
void server_counts_text(struct sts_buf *out, const json_t *counts);

#endif
