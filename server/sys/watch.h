/* Watch: tells that something below the configured paths may have changed. Events are hints only:
 * they say "look again", and at best where to look first (watch_told), never what happened. What
 * they do not tell is found by the slow comparison (watch_changed) and by whoever asks for a look
 * at everything; that is why a look at what was told alone is sound. inotify watches directories,
 * each one that a path passes through: its parents up to the root, and for every symbolic link the
 * directories that the link leads through. So a link that is swapped far away, a directory replaced
 * by another and one that does not exist yet are all noticed. In a directory that is merely passed
 * through only the names that matter there count.
 *
 * inotify sees nothing of what others do on an NFS server or the host of a virtual machine (9p,
 * virtiofs), of the lower layers of an overlay, and of something mounted on the way. For these, and
 * when watches run out, watch_changed compares by stat.
 *
 * The order that loses no change, at the start and after each hint:
 *
 *     do {
 *         watch_set(w, ...);      the targets known so far
 *         watch_changed(w);       from here on nothing is missed
 *         read the files          they may name other targets
 *         watch_set(w, ...);      the targets just read
 *     } while (watch_changed(w)); also true when the targets are other ones
 *
 * A change before the first watch_changed is read; a later one is seen by an event or by the last
 * watch_changed. A file that changes all the time would make this endless: the caller bounds it.
 * watch_set_changed is both calls in one walk. The last two are of no use where targets are the
 * same and events cover all: they tell of each change since the first two.
 *
 * When all that happened was told: watch_settle, watch_told again, watch_forget, read those files
 * alone, and go on.
 *
 * For one thread. */
#ifndef MTASTS_SYS_WATCH_H
#define MTASTS_SYS_WATCH_H

#include "server/sys/file.h"

struct watch;

enum watch_kind {
    WATCH_FILE, /* one file, or a pattern as glob(3) reads it, in directories too */
    WATCH_TREE, /* a file, or a directory with two levels below it, hidden names left out: where
                 * server/tls/cert_find.c looks for certificates */
};

struct watch_target {
    enum watch_kind kind;
    const char *path; /* relative ones are seen from the working directory at each look */
};

struct watch_state {
    size_t watches; /* directories with a watch */
    size_t failed;  /* directories without one, though they need it */
    int error;      /* errno of the first failure, or 0: ENOSPC is fs.inotify.max_user_watches,
                     * EMFILE fs.inotify.max_user_instances (or too many open files), EACCES a
                     * directory that may be entered but not read */
    bool polling;   /* something is not covered by events: watch_changed alone sees it */
};

struct watch *watch_new(void);    /* never NULL: without inotify it polls only */
void watch_free(struct watch *w); /* NULL is fine */

/* Readable when there are events; -1 while only polling. Ask again after each watch_set, which
 * retries what failed. */
int watch_descriptor(const struct watch *w);

/* Makes exactly what these targets pass through watched: unchanged watches stay, others go. To be
 * called after each look at the files, because a swapped link or a new directory changes what must
 * be watched. Each directory is watched before anything in it is looked at, so what happens after
 * this call makes an event. The targets are copied. */
void watch_set(struct watch *w, const struct watch_target *targets, size_t count);

/* Takes what events are pending, without waiting. True when any may concern the targets, also when
 * events were lost. Then watch_set is due: a watch may have gone with its directory. */
bool watch_read(struct watch *w);

/* What watch_read has found since watch_forget, WATCH_TOLD_MAX of each kind at most. What
 * watch_changed finds is not in it. After watch_settle the directories of a tree that are new, and
 * those in them, are among the entries, with an empty name. */
#define WATCH_TOLD_MAX 256
struct watch_told {
    const struct file_name *files; /* that a target names, or lists by a pattern */
    size_t file_count;
    const struct file_entry *entries; /* names in directories of a tree, which no link leads to */
    size_t entry_count;
    size_t folder_count; /* directories that such a directory has and did not have before */
};
/* True when all that happened is in *out; false when more may have changed, links, what is gone,
 * and directories on the way included. Borrowed until watch_read and watch_forget. */
bool watch_told(const struct watch *w, struct watch_told *out);
void watch_forget(struct watch *w);

/* Instead, before what was told is read: watches what is new there, and what links there lead to
 * now, and lets watch_changed compare with what is there now. All the rest is as it was. More may
 * be told of then. */
void watch_settle(struct watch *w);

/* The slow way, by stat alone: true when what the targets lead to differs from the call before
 * (identity, size, times, mode and owner of files, the links on the way, the names in directories),
 * at the first call, and when the targets of watch_set are others. */
bool watch_changed(struct watch *w);
/* watch_changed while others go on changing files: takes pending events afterwards (*news: any may
 * concern the targets), and leaves what they tell of to watch_settle. */
bool watch_changed_untold(struct watch *w, bool *news);
/* watch_set, and what watch_changed says then, by one walk. */
bool watch_set_changed(struct watch *w, const struct watch_target *targets, size_t count);

void watch_state(const struct watch *w, struct watch_state *out);

#endif
