/* Process: another program, run beside the loop: its end is a callback, its output is kept bounded,
 * its time is limited, and its children end with it.
 *
 * It starts without a shell: own process group, working directory /, no descriptor but 0, 1 and 2,
 * all signals as at the start of a program (none blocked, none ignored), no ambient capabilities,
 * and of the environment only what process.c sets: PATH and LANG.
 *
 * The action of SIGCHLD becomes the default one: children are waited for here. */
#ifndef MTASTS_SYS_PROCESS_H
#define MTASTS_SYS_PROCESS_H

#include "mtasts/str.h"
#include "server/sys/loop.h"

enum {
    PROCESS_KEPT = 4096,    /* bytes of output kept of its beginning, and as many of its end */
    PROCESS_GRACE_MS = 2000 /* between SIGTERM and SIGKILL */
};

struct process;

enum process_result {
    PROCESS_EXITED,     /* value: exit status */
    PROCESS_KILLED,     /* value: signal */
    PROCESS_OUT_OF_TIME /* it was ended at the time limit */
};

struct process_end {
    enum process_result result;
    int value;
    uint64_t ms;           /* how long it ran */
    struct sts_str output; /* standard output and error as they came; the middle may lack */
    size_t left_out;       /* bytes that lack in the middle of `output`... */
    size_t left_out_at;    /* ...which begin here */
};

/* `end` is borrowed for the call. The process is over by then and all of its group is killed; only
 * process_free is allowed on it, also from here. */
typedef void process_ended(void *data, const struct process_end *end);

/* Starts argv[0] (a path; argv ends with NULL) with `input` as its standard input, a file in
 * memory: a program that does not read it blocks nobody. NULL with errno when it cannot be started;
 * then `on_end` is not called. Everything is borrowed for the call, but loop and data. */
struct process *process_start(struct loop *loop, const char *const *argv, struct sts_str input,
                              uint64_t limit_ms, process_ended *on_end, void *data);
/* Ends it when it still runs: SIGTERM to its group, SIGKILL after PROCESS_GRACE_MS; waits for that,
 * and not longer than twice that time.
 * `on_end` is not called. NULL is fine. */
void process_free(struct process *p);

#endif
