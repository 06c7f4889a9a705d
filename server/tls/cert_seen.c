/* Whether files are the same as when they were read, told by their attributes alone. */
#include <string.h>

#include "server/sys/file.h"
#include "server/tls/cert_pair.h"
#include "server/tls/cert_sum.h"

/* The kernel stamps files by ticks of some milliseconds, servers of file systems by their own
 * clocks: what was changed this short before it was read may have been changed again since, with
 * the same stamp. */
int64_t cert_young_ns = 2000000000;

static const unsigned char never[CERT_SEEN];

static void cert_seen_sum(const struct file_stamp stamps[2], unsigned char out[CERT_SEEN])
{
    unsigned char digest[CERT_SUM];

    _Static_assert(sizeof(stamps[0]) == 40, "no padding");
    cert_sum(&(struct sts_str){(const char *)stamps, 2 * sizeof(stamps[0])}, 1, digest);
    memcpy(out, digest, CERT_SEEN);
}

void cert_seen_at(struct cert_pair *pair, const struct stat st[2], int64_t now_ns)
{
    const struct file_stamp stamps[] = {file_stamp_of(&st[0]), file_stamp_of(&st[1])};
    unsigned char seen[CERT_SEEN] = {0};

    if (stamps[0].changed < now_ns - cert_young_ns && stamps[1].changed < now_ns - cert_young_ns)
        cert_seen_sum(stamps, seen);
    pair->stale |= memcmp(seen, never, CERT_SEEN) != 0 && memcmp(pair->seen, seen, CERT_SEEN) != 0;
    memcpy(pair->seen, seen, CERT_SEEN);
}

uint64_t cert_seen_folder_now(const struct stat *st)
{
    const struct file_stamp stamp = file_stamp_of(st);
    unsigned char digest[CERT_SUM];
    uint64_t seen;

    cert_sum(&(struct sts_str){(const char *)&stamp, sizeof(stamp)}, 1, digest);
    memcpy(&seen, digest, sizeof(seen));
    return seen;
}

uint64_t cert_seen_folder(const struct stat *st, int64_t now_ns)
{
    return file_stamp_of(st).changed < now_ns - cert_young_ns ? cert_seen_folder_now(st) : 0;
}

bool cert_seen_is(const unsigned char seen[CERT_SEEN], const struct stat st[2])
{
    const struct file_stamp stamps[] = {file_stamp_of(&st[0]), file_stamp_of(&st[1])};
    unsigned char now[CERT_SEEN];

    if (memcmp(seen, never, CERT_SEEN) == 0)
        return false;
    cert_seen_sum(stamps, now);
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
