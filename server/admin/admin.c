#include "server/admin/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/admin/address.h"
#include "server/base/memory.h"

enum { PAUSE_MS = 1000 }; /* without descriptors */

struct client {
    struct admin *admin;
    bool used;
    int fd;
    struct sts_buf request, reply;
    size_t sent;
    struct loop_timer timer; /* until it is given up */
};

struct admin {
    struct admin_setup setup;
    struct admin_address address;
    char *path;   /* that the address borrows from */
    int listener; /* not watched while there is no room */
    ino_t inode;  /* of the socket in the directory */
    size_t count; /* of clients */
    struct loop_timer pause;
    struct client clients[ADMIN_CLIENTS];
};

static void on_connection(void *data);

static void watch_listener(void *data)
{
    struct admin *a = data;

    if (a->count < ADMIN_CLIENTS)
        loop_watch(a->setup.loop, a->listener, POLLIN, on_connection, a);
}

static void client_close(struct client *c)
{
    struct admin *a = c->admin;

    loop_unset(a->setup.loop, &c->timer);
    loop_forget(a->setup.loop, c->fd);
    close(c->fd);
    sts_buf_fini(&c->request);
    sts_buf_fini(&c->reply);
    *c = (struct client){.admin = a};
    if (a->count-- == ADMIN_CLIENTS)
        watch_listener(a);
}

static void on_late(void *data)
{
    client_close(data);
}

static void give_time(struct client *c)
{
    loop_set(c->admin->setup.loop, &c->timer, c->admin->setup.timeout_ms, on_late, c);
}

static void on_writable(void *data)
{
    struct client *c = data;
    ssize_t n =
        send(c->fd, c->reply.ptr + c->sent, c->reply.len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    c->sent += n > 0 ? (size_t)n : 0;
    if (n < 0 || c->sent == c->reply.len)
        client_close(c);
    else
        give_time(c);
}

static void admin_reply(struct client *c)
{
    sts_buf_add(&c->reply, STS_STR("\n"));
    loop_watch(c->admin->setup.loop, c->fd, POLLOUT, on_writable, c);
    give_time(c);
}

static void on_readable(void *data)
{
    struct client *c = data;
    const struct admin_setup *setup = &c->admin->setup;
    char piece[4096];
    ssize_t n = recv(c->fd, piece, sizeof(piece), MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        client_close(c);
        return;
    }
    sts_buf_add(&c->request, (struct sts_str){piece, (size_t)n});
    struct sts_str line = sts_buf_str(&c->request);
    size_t end = sts_str_find(line, '\n', 0);
    if (end > ADMIN_REQUEST_MAX) {
        sts_buf_add(&c->reply, STS_STR("{\"error\":\"the request is too long\"}"));
        admin_reply(c);
    } else if (end < line.len) {
        setup->answer(setup->data, sts_str_sub(line, 0, end), &c->reply);
        admin_reply(c);
    } else {
        give_time(c);
    }
}

/* The mode of the socket says the same, but root may have moved it where others reach it. */
static bool may_ask(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

static void client_open(struct admin *a, int fd)
{
    struct client *c = a->clients;

    while (c->used)
        c++;
    c->used = true;
    c->fd = fd;
    a->count++;
    if (may_ask(fd)) {
        loop_watch(a->setup.loop, fd, POLLIN, on_readable, c);
        give_time(c);
    } else {
        sts_buf_add(&c->reply, STS_STR("{\"error\":\"this user may not ask\"}"));
        admin_reply(c);
    }
}

static void on_connection(void *data)
{
    struct admin *a = data;
    int fd = accept4(a->listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd >= 0)
        client_open(a, fd);
    bool out = fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED;
    if (out || a->count == ADMIN_CLIENTS)
        loop_forget(a->setup.loop, a->listener);
    if (out) /* it stays readable, so poll would not wait */
        loop_set(a->setup.loop, &a->pause, PAUSE_MS, watch_listener, a);
}

/* What a killed server leaves. Nothing but a socket is ever removed. */
static bool remove_left_over(const struct admin *a)
{
    struct stat st;

    return a->setup.replace &&
           fstatat(a->address.directory, a->address.name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISSOCK(st.st_mode) && unlinkat(a->address.directory, a->address.name, 0) == 0;
}

static int try_bind(const struct admin *a)
{
    const struct sockaddr *address = (const struct sockaddr *)&a->address.address;
    return bind(a->listener, address, sizeof(a->address.address));
}

/* The mode of the file is that of the unbound socket, so that no moment is open to others. */
static bool admin_start(struct admin *a)
{
    struct stat st;

    if (fchmod(a->listener, 0600) != 0)
        return false;
    if (try_bind(a) != 0 && (errno != EADDRINUSE || !remove_left_over(a) || try_bind(a) != 0))
        return false;
    if (fstatat(a->address.directory, a->address.name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        listen(a->listener, ADMIN_CLIENTS) != 0)
        return false;
    a->inode = st.st_ino;
    return true;
}

static void admin_release(struct admin *a)
{
    if (a->listener >= 0)
        close(a->listener);
    close(a->address.directory);
    free(a->path);
    free(a);
}

struct admin *admin_open(const struct admin_setup *setup)
{
    struct admin *a = sts_must(calloc(1, sizeof(*a)));

    a->setup = *setup;
    a->path = sts_must(strdup(setup->path));
    a->setup.path = a->path;
    if (!a->setup.timeout_ms)
        a->setup.timeout_ms = ADMIN_TIMEOUT_MS;
    for (size_t i = 0; i < ADMIN_CLIENTS; i++)
        a->clients[i].admin = a;
    a->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (a->listener >= 0 && admin_address_open(&a->address, a->path) == 0) {
        if (admin_start(a)) {
            watch_listener(a);
            return a;
        }
    } else {
        a->address.directory = -1;
    }
    int error = errno;
    admin_release(a);
    errno = error;
    return NULL;
}

bool admin_is_in_place(const struct admin *a)
{
    struct stat st;
    return lstat(a->path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_ino == a->inode;
}

void admin_close(struct admin *a)
{
    struct stat st;

    if (!a)
        return;
    for (size_t i = 0; i < ADMIN_CLIENTS; i++)
        if (a->clients[i].used)
            client_close(&a->clients[i]);
    loop_unset(a->setup.loop, &a->pause);
    loop_forget(a->setup.loop, a->listener);
    if (fstatat(a->address.directory, a->address.name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISSOCK(st.st_mode) && st.st_ino == a->inode)
        unlinkat(a->address.directory, a->address.name, 0);
    admin_release(a);
}
