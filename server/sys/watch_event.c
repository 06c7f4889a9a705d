/* Events of inotify: whether they concern the targets, and what they tell by name. */
#include <errno.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "server/sys/watch_parts.h"

enum { READS_MAX = 256, READ_SIZE = 16384 };

bool watch_told(const struct watch *w, struct watch_told *out)
{
    const struct watch_list *told = &w->told;

    *out = (struct watch_told){told->files, told->file_count, told->entries, told->entry_count,
                               told->folder_count};
    return !w->more && watch_list_is_regular(told);
}

void watch_forget(struct watch *w)
{
    watch_list_reset(&w->told);
    w->more = false;
}

/* Something happened to a directory in a tree. */
static bool tell_folder(struct watch *w, const struct watch_dir *dir,
                        const struct inotify_event *event)
{
    struct sts_str name = sts_str_from(event->name);

    if (!watch_table_is_entry(&w->table, dir, event->name))
        return false;
    if (event->mask & IN_DELETE)
        return watch_list_folder(&w->told, dir->path, name, WATCH_GONE);
    return event->mask & (IN_CREATE | IN_MOVED_TO) &&
           watch_list_folder(&w->told, dir->path, name, dir->levels - 1);
}

/* False when it cannot be told by name. */
static bool watch_event_tell(struct watch *w, const struct watch_dir *dir,
                             const struct inotify_event *event)
{
    struct sts_str name = sts_str_from(event->len ? event->name : NULL);

    /* Of a directory in a tree, the one that it was in tells. */
    if (!event->len)
        return event->mask & (IN_DELETE_SELF | IN_IGNORED) && dir->visible && !dir->linked &&
               dir->levels < WATCH_LEVELS;
    if (event->mask & IN_ISDIR)
        return tell_folder(w, dir, event);
    if (watch_table_is_file(&w->table, dir, event->name))
        return watch_list_file(&w->told, dir->path, name,
                               watch_table_is_named(&w->table, dir, event->name));
    return watch_table_is_entry(&w->table, dir, event->name) &&
           watch_list_entry(&w->told, dir->path, name);
}

static bool watch_event_concerns(struct watch *w, const struct inotify_event *event)
{
    if (event->mask & IN_Q_OVERFLOW)
        return w->more = true;
    /* Unknown: a watch that was dropped, its end (IN_IGNORED) included. */
    struct watch_dir *dir = watch_table_find(&w->table, event->wd);
    if (!dir)
        return false;
    if (event->mask & IN_IGNORED)
        dir->gone = true;
    if (event->len && !watch_table_counts(&w->table, dir, event->name))
        return false;
    w->more |= !watch_event_tell(w, dir, event);
    return true;
}

bool watch_read(struct watch *w)
{
    char events[READ_SIZE] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool any = false;

    /* Bounded: others may write faster than this reads. The descriptor stays readable then. */
    for (int i = 0; w->fd >= 0 && i < READS_MAX; i++) {
        ssize_t n = read(w->fd, events, sizeof(events));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            any = w->more = true;
        if (n < 0)
            return any;
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *event = (const void *)(events + at);
            any = watch_event_concerns(w, event) || any;
            at += (ssize_t)(sizeof(*event) + event->len);
        }
    }
    return any;
}
