/* What the targets lead to, as one number: the sum of the digests of all that is seen, so that the
 * order in which directories list their names does not matter, and nothing is kept per file. */
#include <errno.h>
#include <openssl/sha.h>
#include <string.h>

#include "server/sys/watch_parts.h"

struct summing {
    struct watch_sum *sum;
    struct sts_buf record;
};

static void add_record(struct summing *s)
{
    union {
        unsigned char bytes[SHA256_DIGEST_LENGTH];
        uint64_t lanes[4];
    } digest;

    SHA256((const unsigned char *)s->record.ptr, s->record.len, digest.bytes);
    for (size_t i = 0; i < 4; i++)
        s->sum->lanes[i] += digest.lanes[i];
}

static void put(struct summing *s, long long value)
{
    sts_buf_add(&s->record, (struct sts_str){(const char *)&value, sizeof(value)});
}

static void begin(struct summing *s, struct sts_str path, int what)
{
    s->record.len = 0;
    put(s, what);
    put(s, (long long)path.len);
    sts_buf_add(&s->record, path);
}

static void add_seen(void *to, struct sts_str path, const struct stat *st, struct sts_str link)
{
    struct summing *s = to;
    int error = errno;

    begin(s, path, st ? 0 : 1);
    if (!st) {
        put(s, error);
        add_record(s);
        return;
    }
    put(s, (long long)st->st_dev);
    put(s, (long long)st->st_ino);
    put(s, st->st_mode);
    put(s, st->st_uid);
    put(s, st->st_gid);
    /* Size and times of a directory change with names in it that do not matter. */
    if (!S_ISDIR(st->st_mode)) {
        put(s, st->st_size);
        put(s, st->st_mtim.tv_sec);
        put(s, st->st_mtim.tv_nsec);
        put(s, st->st_ctim.tv_sec);
        put(s, st->st_ctim.tv_nsec);
    }
    sts_buf_add(&s->record, link);
    add_record(s);
}

static void add_blind(void *to, struct sts_str path, int error)
{
    struct summing *s = to;

    begin(s, path, 2);
    put(s, error);
    add_record(s);
}

void watch_sum(const struct watch_path *paths, size_t count, struct watch_sum *out)
{
    static const struct watch_visitor visitor = {.seen = add_seen, .blind = add_blind};
    struct summing s = {.sum = out};

    *out = (struct watch_sum){0};
    watch_walk(paths, count, &visitor, &s);
    sts_buf_fini(&s.record);
}
