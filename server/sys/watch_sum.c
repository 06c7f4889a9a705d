/* What the targets lead to, as numbers: for each directory the sum of the digests of all that is
 * seen in it, so that the order in which it lists its names does not matter. A directory itself
 * counts with what is in it, and each file outside a tree for itself: it may be told of, and there
 * may be many. */
#include <errno.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/memory.h"
#include "server/sys/watch_parts.h"

enum { SMALLEST = 16 };

void watch_sums_fini(struct watch_sums *sums)
{
    free(sums->slots);
    sts_buf_fini(&sums->record);
    *sums = (struct watch_sums){0};
}

static struct watch_sum *watch_sum_slot_of(const struct watch_sums *sums, uint64_t key)
{
    size_t at = (size_t)key & (sums->size - 1);

    while (sums->slots[at].key && sums->slots[at].key != key)
        at = (at + 1) & (sums->size - 1);
    return &sums->slots[at];
}

static struct watch_sum *at_key(struct watch_sums *sums, uint64_t key)
{
    if (sums->count + 1 > sums->size / 2) {
        struct watch_sums bigger = {.size = sums->size ? sts_mul_size(sums->size, 2) : SMALLEST};
        bigger.slots = sts_must(calloc(bigger.size, sizeof(*bigger.slots)));
        for (size_t i = 0; i < sums->size; i++)
            if (sums->slots[i].key)
                *watch_sum_slot_of(&bigger, sums->slots[i].key) = sums->slots[i];
        free(sums->slots);
        sums->slots = bigger.slots;
        sums->size = bigger.size;
    }
    struct watch_sum *slot = watch_sum_slot_of(sums, key);
    sums->count += !slot->key;
    slot->key = key;
    return slot;
}

/* Never 0. */
static uint64_t key_of(struct sts_str path)
{
    uint64_t key = sts_str_hash(path);
    return key ? key : 1;
}

static void watch_sum_add_record(struct watch_sums *sums, struct sts_str of)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    uint64_t number;

    SHA256((const unsigned char *)sums->record.ptr, sums->record.len, digest);
    memcpy(&number, digest, sizeof(number));
    at_key(sums, key_of(of))->sum += number;
}

static void watch_sum_put(struct watch_sums *sums, long long value)
{
    sts_buf_add(&sums->record, (struct sts_str){(const char *)&value, sizeof(value)});
}

static void watch_sum_begin(struct watch_sums *sums, struct sts_str path, int what)
{
    sums->record.len = 0;
    watch_sum_put(sums, what);
    watch_sum_put(sums, (long long)path.len);
    sts_buf_add(&sums->record, path);
}

void watch_sums_seen(struct watch_sums *sums, const struct watch_seen *seen)
{
    const struct stat *st = seen->st;
    bool directory = st && S_ISDIR(st->st_mode);
    int error = errno;

    watch_sum_begin(sums, seen->path, st ? 0 : 1);
    if (st) {
        watch_sum_put(sums, (long long)st->st_dev);
        watch_sum_put(sums, (long long)st->st_ino);
        watch_sum_put(sums, st->st_mode);
        watch_sum_put(sums, st->st_uid);
        watch_sum_put(sums, st->st_gid);
    } else {
        watch_sum_put(sums, error);
    }
    /* Size and times of a directory change with names in it that do not matter. */
    if (st && !directory) {
        watch_sum_put(sums, st->st_size);
        watch_sum_put(sums, st->st_mtim.tv_sec);
        watch_sum_put(sums, st->st_mtim.tv_nsec);
        watch_sum_put(sums, st->st_ctim.tv_sec);
        watch_sum_put(sums, st->st_ctim.tv_nsec);
    }
    sts_buf_add(&sums->record, seen->link);
    watch_sum_add_record(sums, directory || seen->alone ? seen->path : seen->in);
}

void watch_sums_blind(struct watch_sums *sums, struct sts_str path, int error)
{
    watch_sum_begin(sums, path, 2);
    watch_sum_put(sums, error);
    watch_sum_add_record(sums, path);
}

void watch_sums_none(struct watch_sums *sums, struct sts_str path)
{
    at_key(sums, key_of(path))->sum = 0;
}

/* 0 where nothing was seen. */
static uint64_t sum_at(const struct watch_sums *sums, uint64_t key)
{
    return sums->size ? watch_sum_slot_of(sums, key)->sum : 0;
}

static bool watch_sum_has_all(const struct watch_sums *sums, const struct watch_sums *of)
{
    bool all = true;

    for (size_t i = 0; all && i < of->size; i++)
        all = !of->slots[i].key || sum_at(sums, of->slots[i].key) == of->slots[i].sum;
    return all;
}

bool watch_sums_same(const struct watch_sums *a, const struct watch_sums *b)
{
    return watch_sum_has_all(a, b) && watch_sum_has_all(b, a);
}

void watch_sums_replace(struct watch_sums *sums, const struct watch_sums *some)
{
    for (size_t i = 0; i < some->size; i++)
        if (some->slots[i].key)
            at_key(sums, some->slots[i].key)->sum = some->slots[i].sum;
}

void watch_sums_restore(struct watch_sums *sums, const struct watch_sums *some,
                        const struct watch_sums *before)
{
    for (size_t i = 0; i < some->size; i++)
        if (some->slots[i].key && before->size)
            at_key(sums, some->slots[i].key)->sum = sum_at(before, some->slots[i].key);
}
