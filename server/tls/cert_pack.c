#include "server/tls/cert_pack.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mtasts/arena.h"
#include "server/base/memory.h"
#include "server/tls/cert_sum.h"
#include "server/tls/cert_table.h"

/* The rules of cert_check are part of the program, what X509 objects are good for of OpenSSL. */
static const char HEAD[] = "mta-stsd certificate index 4 " MTA_STSD_VERSION " ";

enum { NONCE = 16, WINDOW = 1 << 20 /* bytes read at a time */ };

struct cert_pack {
    atomic_uint refs;
    int fd;
    char *temporary; /* its name until it is in place */
    char *path;
    unsigned char nonce[NONCE];
    uint64_t first, end; /* where records begin, and where the next one will */
    struct sts_buf waiting;
    struct sts_arena *arena; /* of the keys of: */
    struct cert_table chains;
    atomic_bool failed;
    bool read_only; /* another user's: what is new goes into a new file */
};

struct record_head {
    uint32_t len, kind;
    unsigned char sum[CERT_SUM];
};

static void sum_record(const struct cert_pack *pack, uint64_t at, const struct record_head *head,
                       struct sts_str body, unsigned char out[CERT_SUM])
{
    const struct sts_str pieces[] = {
        {(const char *)pack->nonce, NONCE},
        {(const char *)&at, sizeof(at)},
        {(const char *)head, offsetof(struct record_head, sum)},
        body,
    };
    cert_sum(pieces, 4, out);
}

static bool is_good(const struct cert_pack *pack, uint64_t at, const struct record_head *head,
                    struct sts_str body)
{
    unsigned char sum[CERT_SUM];

    sum_record(pack, at, head, body, sum);
    return memcmp(sum, head->sum, sizeof(sum)) == 0;
}

/* --- The file -----------------------------------------------------------------------------------
 */

static struct cert_pack *new_pack(int fd, const char *path)
{
    struct cert_pack *pack = sts_must(calloc(1, sizeof(*pack)));

    atomic_init(&pack->refs, 1);
    pack->fd = fd;
    pack->path = sts_must(strdup(path));
    pack->arena = sts_arena_new();
    return pack;
}

struct cert_pack *cert_pack_ref(struct cert_pack *pack)
{
    atomic_fetch_add_explicit(&pack->refs, 1, memory_order_relaxed);
    return pack;
}

void cert_pack_unref(struct cert_pack *pack)
{
    if (!pack || atomic_fetch_sub_explicit(&pack->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (pack->temporary)
        unlink(pack->temporary);
    close(pack->fd);
    free(pack->temporary);
    free(pack->path);
    sts_buf_fini(&pack->waiting);
    cert_table_fini(&pack->chains);
    sts_arena_free(pack->arena);
    free(pack);
}

static bool read_at(int fd, uint64_t at, void *out, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = pread(fd, (char *)out + done, len - done, (off_t)(at + done));
        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        if (n > 0)
            done += (size_t)n;
    }
    return true;
}

static int write_at(int fd, uint64_t at, struct sts_str text)
{
    for (size_t done = 0; done < text.len;) {
        ssize_t n = pwrite(fd, text.ptr + done, text.len - done, (off_t)(at + done));
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0)
            done += (size_t)n;
    }
    return 0;
}

/* The head of a pack with this nonce. */
static void put_head(struct sts_buf *out, const unsigned char nonce[NONCE])
{
    unsigned char sum[CERT_SUM];

    sts_buf_add_cstr(out, HEAD);
    sts_buf_add_cstr(out, OpenSSL_version(OPENSSL_FULL_VERSION_STRING));
    sts_buf_add_cstr(out, "\n");
    sts_buf_add(out, (struct sts_str){(const char *)nonce, NONCE});
    cert_sum(&(struct sts_str){out->ptr, out->len}, 1, sum);
    sts_buf_add(out, (struct sts_str){(const char *)sum, sizeof(sum)});
}

/* Whoever can write it could give a tenant's name to another. */
static bool cert_pack_is_ours(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
           (st.st_uid == geteuid() || st.st_uid == 0) && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static bool read_head(struct cert_pack *pack)
{
    struct sts_buf expected = {0}, found = {0};

    put_head(&expected, pack->nonce);
    sts_buf_add(&found, sts_buf_str(&expected));
    bool good = read_at(pack->fd, 0, found.ptr, found.len);
    if (good) {
        memcpy(pack->nonce, found.ptr + found.len - CERT_SUM - NONCE, NONCE);
        expected.len = 0;
        put_head(&expected, pack->nonce);
        good = memcmp(expected.ptr, found.ptr, found.len) == 0;
    }
    pack->first = pack->end = found.len;
    sts_buf_fini(&expected);
    sts_buf_fini(&found);
    return good;
}

struct cert_pack *cert_pack_open(const char *path)
{
    /* O_NONBLOCK: opening a FIFO must not wait. */
    const int flags = O_NONBLOCK | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW;
    int fd = open(path, O_RDWR | flags);
    bool read_only = false;

    if (fd < 0) {
        fd = open(path, O_RDONLY | flags);
        read_only = true;
    }
    if (fd < 0)
        return NULL;
    struct cert_pack *pack = new_pack(fd, path);
    pack->read_only = read_only;
    if (cert_pack_is_ours(fd) && read_head(pack))
        return pack;
    cert_pack_unref(pack);
    return NULL;
}

struct cert_pack *cert_pack_new(const char *path)
{
    struct sts_buf name = {0}, head = {0};
    struct stat there;

    if (lstat(path, &there) == 0 && !S_ISREG(there.st_mode)) {
        errno = ENOTSUP;
        return NULL;
    }
    sts_buf_printf(&name, "%s.XXXXXX", path);
    int fd = mkostemp(name.ptr, O_CLOEXEC); /* 0600 */
    if (fd < 0) {
        sts_buf_fini(&name);
        return NULL;
    }
    struct cert_pack *pack = new_pack(fd, path);
    pack->temporary = name.ptr;
    if (RAND_bytes(pack->nonce, NONCE) != 1)
        sts_must(NULL);
    put_head(&head, pack->nonce);
    int result = write_at(fd, 0, sts_buf_str(&head)), error = errno;
    pack->first = pack->end = head.len;
    sts_buf_fini(&head);
    if (result == 0)
        return pack;
    cert_pack_unref(pack);
    errno = error;
    return NULL;
}

int cert_pack_put_in_place(struct cert_pack *pack)
{
    if (rename(pack->temporary, pack->path) != 0)
        return -1;
    free(pack->temporary);
    pack->temporary = NULL;
    return 0;
}

bool cert_pack_fail(struct cert_pack *pack)
{
    return !atomic_exchange(&pack->failed, true);
}

bool cert_pack_is_usable(const struct cert_pack *pack, const char *path)
{
    struct stat own, there;

    return !pack->failed && !pack->read_only && fstat(pack->fd, &own) == 0 &&
           lstat(path, &there) == 0 && own.st_dev == there.st_dev && own.st_ino == there.st_ino;
}

uint64_t cert_pack_size(const struct cert_pack *pack)
{
    return pack->end - pack->first;
}

static void note_chain(struct cert_pack *pack, enum cert_record kind, struct sts_str body)
{
    struct sts_str digest = sts_str_sub(body, 0, CERT_SUM);

    if (kind == CERT_RECORD_CHAIN && !cert_table_find(&pack->chains, digest))
        cert_table_add(&pack->chains, sts_arena_dup(pack->arena, digest), pack);
}

bool cert_pack_has_chain(const struct cert_pack *pack, const unsigned char digest[32])
{
    return cert_table_find(&pack->chains, cert_sum_str(digest));
}

/* --- Reading ------------------------------------------------------------------------------------
 */

/* A part of the file in memory. */
struct window {
    int fd;
    uint64_t size; /* of the file */
    uint64_t at;
    struct sts_buf text;
};

/* `len` bytes at `at`, valid until the next call; NULL when there are not so many. */
static const char *cert_pack_look_at(struct window *w, uint64_t at, size_t len)
{
    if (at > w->size || len > w->size - at)
        return NULL;
    if (at < w->at || at + len > w->at + w->text.len) {
        size_t want = len > WINDOW ? len : WINDOW;
        if (want > w->size - at)
            want = (size_t)(w->size - at);
        if (want > w->text.cap) {
            w->text.ptr = sts_must(realloc(w->text.ptr, want));
            w->text.cap = want;
        }
        w->at = at;
        w->text.len = want;
        if (!read_at(w->fd, at, w->text.ptr, want)) {
            w->text.len = 0;
            return NULL;
        }
    }
    return w->text.ptr + (at - w->at);
}

void cert_pack_walk(struct cert_pack *pack, cert_pack_take *take, void *data)
{
    struct window w = {.fd = pack->fd};
    struct record_head head;
    struct stat st;
    const char *found;

    if (fstat(pack->fd, &st) == 0)
        w.size = (uint64_t)st.st_size;
    for (uint64_t at = pack->first; (found = cert_pack_look_at(&w, at, sizeof(head)));) {
        memcpy(&head, found, sizeof(head));
        /* A wrong length leads astray; the sums tell, and at the latest the end of the file. */
        found =
            head.len <= CERT_RECORD_MAX ? cert_pack_look_at(&w, at, sizeof(head) + head.len) : NULL;
        if (!found)
            break;
        struct sts_str body = {found + sizeof(head), head.len};
        uint64_t next = at + cert_pack_record_size(head.len);
        if (is_good(pack, at, &head, body)) {
            note_chain(pack, head.kind, body);
            take(data, head.kind, at, body);
            pack->end = next;
        }
        at = next;
    }
    sts_buf_fini(&w.text);
}

bool cert_pack_read(const struct cert_pack *pack, uint64_t at, size_t body, struct sts_buf *out)
{
    struct record_head head;
    size_t len = sizeof(head) + body;
    char *text = sts_must(malloc(len));
    bool good = read_at(pack->fd, at, text, len);

    if (good) {
        struct sts_str found = {text + sizeof(head), body};
        memcpy(&head, text, sizeof(head));
        good = head.len == body && is_good(pack, at, &head, found);
        if (good)
            sts_buf_add(out, found);
    }
    free(text);
    return good;
}

/* --- Adding -------------------------------------------------------------------------------------
 */

uint64_t cert_pack_record_size(size_t body)
{
    return sizeof(struct record_head) + body;
}

uint64_t cert_pack_add(struct cert_pack *pack, enum cert_record kind, struct sts_str body)
{
    uint64_t at = pack->end + pack->waiting.len;
    struct record_head head = {.len = (uint32_t)body.len, .kind = kind};

    sum_record(pack, at, &head, body, head.sum);
    sts_buf_add(&pack->waiting, (struct sts_str){(const char *)&head, sizeof(head)});
    sts_buf_add(&pack->waiting, body);
    note_chain(pack, kind, body);
    return at;
}

size_t cert_pack_waiting(const struct cert_pack *pack)
{
    return pack->waiting.len;
}

int cert_pack_flush(struct cert_pack *pack)
{
    int result = write_at(pack->fd, pack->end, sts_buf_str(&pack->waiting));

    if (result == 0)
        pack->end += pack->waiting.len;
    if (result != 0)
        cert_pack_fail(pack);
    pack->waiting.len = 0;
    return result;
}
