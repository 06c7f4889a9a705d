/* New instances, on their way into the ledger. SQLite's work for a statement is more than that for
 * a row, so many rows go with one. */
#ifndef MTASTS_LEDGER_INSERT_H
#define MTASTS_LEDGER_INSERT_H

#include "server/ledger/parts.h"

enum { INSERT_ROWS = 32, KNOWN_SLOTS = 509 };

/* A policy as the ledger writes it. Many tenants share one, and then their mx are in one place. */
struct known {
    struct sts_policy policy;
    unsigned char digest[STS_DIGEST_LEN];
    struct sts_buf body;
};

struct inserting {
    time_t now;           /* first_served of all */
    sqlite3_int64 before; /* the largest seq that there was; 0: the ledger is empty */
    sqlite3_stmt *last, *one, *many, *begun;
    struct {
        const struct ledger_entry *entry;
        char id[STS_ID_MAX + 1];
    } rows[INSERT_ROWS];
    size_t count; /* rows that wait */
    bool any;     /* were written */
    struct known known[KNOWN_SLOTS];
};

/* All give a result code; `in` begins as zeroes, and insert_fini is to follow whatever the code. */
int insert_begin(struct inserting *in, struct ledger *ledger, time_t now);
/* The entry is borrowed until insert_finish. No two are of one domain. */
int insert_add(struct inserting *in, const struct ledger_entry *entry, const char *id);
/* Writes what waits, and notes that all of it is unpublished. */
int insert_finish(struct inserting *in);
void insert_fini(struct inserting *in);

/* Good until the next call. */
const struct known *insert_know(struct inserting *in, const struct sts_policy *policy);

#endif
