#include "server/sys/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/base/memory.h"
#include "server/sys/clock.h"

enum {
    CHUNK = 65536,   /* read at a time; also what a pipe holds (pipe(7)) */
    LAST_CHUNKS = 16 /* read at the end; somebody may still write */
};

struct process {
    struct loop *loop;
    process_ended *on_end;
    void *data;
    pid_t pid;  /* also of its group; 0: over */
    int pidfd;  /* readable when it has ended */
    int output; /* our end of the pipe; -1: closed */
    bool out_of_time;
    uint64_t started;
    struct loop_timer timer;
    unsigned long long total; /* bytes of output */
    char head[PROCESS_KEPT];
    char tail[PROCESS_KEPT]; /* byte n (from PROCESS_KEPT on) is at n % PROCESS_KEPT */
    char text[2 * PROCESS_KEPT];
};

/* 0, 1 and 2 may be closed here, and are about to be replaced in the child. */
static int above_standard(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), error = errno;
    close(fd);
    errno = error;
    return moved;
}

static int input_file(struct sts_str input)
{
    int fd = above_standard(memfd_create("input", MFD_CLOEXEC));

    for (size_t done = 0; fd >= 0 && done < input.len;) {
        ssize_t n = write(fd, input.ptr + done, input.len - done);
        if (n < 0) {
            int error = errno;
            close(fd);
            errno = error;
            return -1;
        }
        done += (size_t)n;
    }
    if (fd >= 0)
        lseek(fd, 0, SEEK_SET);
    return fd;
}

static int output_pipe(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    ends[0] = above_standard(ends[0]);
    ends[1] = above_standard(ends[1]);
    if (ends[0] >= 0 && ends[1] >= 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0)
        return 0;
    int error = errno;
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    errno = error;
    return -1;
}

/* posix_spawn(3) does nothing in the child that threads could have left in disorder, and tells
 * whether execve(2) worked. Memory is its only error before that. */
static int process_spawn(pid_t *pid, const char *const *argv, int input, int output)
{
    static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    static char lang[] = "LANG=C.UTF-8";
    static char *const environment[] = {path, lang, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;

    /* The capabilities that a service manager gives to this program are for this program, which
     * keeps them: they read every key of the machine. */
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                        POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawn_file_actions_init(&files);
    int error = posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
    if (!error)
        error = posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
    if (!error)
        error = posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
    if (!error)
        error = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
    if (!error)
        error = posix_spawn_file_actions_addchdir_np(&files, "/");
    if (!error)
        error = posix_spawn(pid, argv[0], &files, &attr, (char *const *)argv, environment);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return error;
}

/* The pid of a child that was not waited for cannot be another's. */
static int watch_end(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);

    if (fd < 0) {
        int error = errno;
        kill(-pid, SIGKILL);
        waitpid(pid, NULL, 0);
        errno = error;
    }
    return fd;
}

static int process_begin(struct process *p, const char *const *argv, struct sts_str input)
{
    /* Who started this program may have left SIGCHLD ignored, and that is inherited. The kernel
     * would then wait for the child itself: how it ended is lost, and its number another's. */
    signal(SIGCHLD, SIG_DFL);
    int ends[2], in = input_file(input);

    if (in < 0)
        return errno;
    if (output_pipe(ends) != 0) {
        int error = errno;
        close(in);
        return error;
    }
    int error = process_spawn(&p->pid, argv, in, ends[1]);
    close(in);
    close(ends[1]);
    p->output = ends[0];
    if (!error && (p->pidfd = watch_end(p->pid)) < 0)
        error = errno;
    if (error)
        close(ends[0]);
    return error;
}

static void process_keep(struct process *p, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++, p->total++)
        if (p->total < PROCESS_KEPT)
            p->head[p->total] = bytes[i];
        else
            p->tail[p->total % PROCESS_KEPT] = bytes[i];
}

/* What is there now, at most CHUNK; false when there is nothing, or will be nothing any more. */
static bool take_output(struct process *p)
{
    char bytes[CHUNK];

    if (p->output < 0)
        return false;
    ssize_t n = read(p->output, bytes, sizeof(bytes));
    if (n > 0) {
        process_keep(p, bytes, (size_t)n);
        return true;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        loop_forget(p->loop, p->output);
        close(p->output);
        p->output = -1;
    }
    return false;
}

static void on_output(void *data)
{
    take_output(data);
}

static void on_out_of_patience(void *data)
{
    struct process *p = data;
    kill(-p->pid, SIGKILL);
}

static void on_out_of_time(void *data)
{
    struct process *p = data;

    p->out_of_time = true;
    kill(-p->pid, SIGTERM);
    loop_set(p->loop, &p->timer, PROCESS_GRACE_MS, on_out_of_patience, p);
}

/* Kills what is left of the group before the leader is waited for: so long nobody else can have its
 * number. */
static void process_bury(struct process *p, siginfo_t *info)
{
    kill(-p->pid, SIGKILL);
    *info = (siginfo_t){0};
    waitid(P_PID, (id_t)p->pid, info, WEXITED | WNOHANG);
    p->pid = 0;
    loop_unset(p->loop, &p->timer);
    loop_forget(p->loop, p->pidfd);
    close(p->pidfd);
    if (p->output >= 0) {
        loop_forget(p->loop, p->output);
        for (int i = 0; i < LAST_CHUNKS && take_output(p); i++)
            ;
    }
    if (p->output >= 0)
        close(p->output);
    p->output = -1;
}

static struct sts_str kept_output(struct process *p, size_t *left_out)
{
    size_t head = p->total < PROCESS_KEPT ? (size_t)p->total : PROCESS_KEPT;
    unsigned long long rest = p->total - head;
    size_t tail = rest < PROCESS_KEPT ? (size_t)rest : PROCESS_KEPT;

    memcpy(p->text, p->head, head);
    for (size_t i = 0; i < tail; i++)
        p->text[head + i] = p->tail[(p->total - tail + i) % PROCESS_KEPT];
    *left_out = (size_t)(rest - tail);
    return (struct sts_str){p->text, head + tail};
}

static void on_pidfd(void *data)
{
    struct process *p = data;
    siginfo_t info;

    process_bury(p, &info);
    struct process_end end = {.result = p->out_of_time               ? PROCESS_OUT_OF_TIME
                                        : info.si_code == CLD_EXITED ? PROCESS_EXITED
                                                                     : PROCESS_KILLED,
                              .value = info.si_status,
                              .ms = clock_monotonic_ms() - p->started,
                              .left_out_at = PROCESS_KEPT};
    end.output = kept_output(p, &end.left_out);
    p->on_end(p->data, &end);
}

struct process *process_start(struct loop *loop, const char *const *argv, struct sts_str input,
                              uint64_t limit_ms, process_ended *on_end, void *data)
{
    struct process *p = sts_must(calloc(1, sizeof(*p)));

    p->loop = loop;
    p->on_end = on_end;
    p->data = data;
    p->started = clock_monotonic_ms();
    int error = process_begin(p, argv, input);
    if (error) {
        free(p);
        errno = error;
        return NULL;
    }
    loop_watch(loop, p->pidfd, POLLIN, on_pidfd, p);
    loop_watch(loop, p->output, POLLIN, on_output, p);
    loop_set(loop, &p->timer, limit_ms, on_out_of_time, p);
    return p;
}

/* False when it did not end within PROCESS_GRACE_MS. Its output is taken meanwhile: a program that
 * ends in order may still say so. */
static bool process_ends(struct process *p)
{
    uint64_t until = clock_monotonic_ms() + PROCESS_GRACE_MS, now;

    while ((now = clock_monotonic_ms()) < until) {
        struct pollfd fds[] = {{.fd = p->pidfd, .events = POLLIN},
                               {.fd = p->output, .events = POLLIN}};
        if (poll(fds, 2, (int)(until - now)) > 0 && fds[0].revents)
            return true;
        if (fds[1].revents)
            take_output(p);
    }
    return false;
}

void process_free(struct process *p)
{
    siginfo_t info;

    if (!p)
        return;
    if (p->pid) {
        kill(-p->pid, SIGTERM);
        if (!process_ends(p)) {
            kill(-p->pid, SIGKILL);
            process_ends(p); /* it does not when it became another user's, as by sudo */
        }
        process_bury(p, &info);
    }
    free(p);
}
