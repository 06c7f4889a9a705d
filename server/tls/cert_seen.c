/* Whether files are the same as when they were read, told by their attributes alone. */
#include <string.h>

#include "server/tls/cert_pair.h"
#include "server/tls/cert_sum.h"

/* The kernel stamps files by ticks of some milliseconds, servers of file systems by their own
 * clocks: what was changed this short before it was read may have been changed again since, with
 * the same stamp. */
int64_t cert_young_ns = 2000000000;

static const unsigned char never[CERT_SEEN];

static int64_t changed_ns(const struct stat *st)
{
    return (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
}

static void sum(const struct stat st[2], unsigned char out[CERT_SEEN])
{
    unsigned char digest[CERT_SUM];
    uint64_t fields[2][6];

    for (size_t i = 0; i < 2; i++) {
        fields[i][0] = (uint64_t)st[i].st_dev;
        fields[i][1] = (uint64_t)st[i].st_ino;
        fields[i][2] = (uint64_t)st[i].st_size;
        fields[i][3] = (uint64_t)st[i].st_mtim.tv_sec;
        fields[i][4] = (uint64_t)st[i].st_mtim.tv_nsec;
        fields[i][5] = (uint64_t)changed_ns(&st[i]);
    }
    cert_sum(&(struct sts_str){(const char *)fields, sizeof(fields)}, 1, digest);
    memcpy(out, digest, CERT_SEEN);
}

void cert_seen_at(struct cert_pair *pair, const struct stat st[2], int64_t now_ns)
{
    unsigned char seen[CERT_SEEN] = {0};

    if (now_ns - changed_ns(&st[0]) > cert_young_ns && now_ns - changed_ns(&st[1]) > cert_young_ns)
        sum(st, seen);
    pair->stale |= memcmp(seen, never, CERT_SEEN) != 0 && memcmp(pair->seen, seen, CERT_SEEN) != 0;
    memcpy(pair->seen, seen, CERT_SEEN);
}

bool cert_seen_is(const unsigned char seen[CERT_SEEN], const struct stat st[2])
{
    unsigned char now[CERT_SEEN];

    if (memcmp(seen, never, CERT_SEEN) == 0)
        return false;
    sum(st, now);
    return memcmp(seen, now, CERT_SEEN) == 0;
}

bool cert_seen_same(const struct cert_pair *pair)
{
    char space[CERT_PATH_MAX];
    struct stat st[2];

    if (stat(pair->info.file.ptr, &st[0]) != 0)
        return false;
    st[1] = st[0];
    if (pair->key_name.len && stat(cert_pair_key_file(pair, space).ptr, &st[1]) != 0)
        return false;
    return cert_seen_is(pair->seen, st);
}
