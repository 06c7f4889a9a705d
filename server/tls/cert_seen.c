/* Whether files are the same as when they were read, told by their attributes alone. */
#include <openssl/sha.h>
#include <string.h>

#include "server/tls/cert_pair.h"

/* The kernel stamps files by ticks of some milliseconds, servers of file systems by their own
 * clocks: what was changed this short before it was read may have been changed again since, with
 * the same stamp. */
int64_t cert_young_ns = 2000000000;

static int64_t changed_ns(const struct stat *st)
{
    return (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
}

static void sum(const struct stat st[2], unsigned char out[16])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    uint64_t fields[2][6];

    for (size_t i = 0; i < 2; i++) {
        fields[i][0] = (uint64_t)st[i].st_dev;
        fields[i][1] = (uint64_t)st[i].st_ino;
        fields[i][2] = (uint64_t)st[i].st_size;
        fields[i][3] = (uint64_t)st[i].st_mtim.tv_sec;
        fields[i][4] = (uint64_t)st[i].st_mtim.tv_nsec;
        fields[i][5] = (uint64_t)changed_ns(&st[i]);
    }
    SHA256((const unsigned char *)fields, sizeof(fields), digest);
    memcpy(out, digest, 16);
}

void cert_seen_at(struct cert_pair *pair, const struct stat st[2], int64_t now_ns)
{
    memset(pair->seen, 0, sizeof(pair->seen));
    if (now_ns - changed_ns(&st[0]) > cert_young_ns && now_ns - changed_ns(&st[1]) > cert_young_ns)
        sum(st, pair->seen);
}

bool cert_seen_same(const struct cert_pair *pair)
{
    static const unsigned char never[16];
    struct stat st[2];
    unsigned char now[16];

    if (memcmp(pair->seen, never, sizeof(never)) == 0 || stat(pair->info.file.ptr, &st[0]) != 0 ||
        stat(pair->info.key_file.ptr, &st[1]) != 0)
        return false;
    sum(st, now);
    return memcmp(pair->seen, now, sizeof(now)) == 0;
}
