/* Watching: what the configuration leads to, and what happens there. */
#include <errno.h>
#include <poll.h>
#include <sys/stat.h>

#include "server/daemon/parts.h"
#include "server/sys/clock.h"
#include "server/sys/file.h"
#include "server/sys/log.h"

static void on_event(void *data)
{
    struct daemon *d = data;

    if (watch_read(d->watch)) {
        d->watched_now = false;
        schedule_event(&d->schedule, clock_monotonic_ms());
    }
    reload_plan(d);
}

/* What is missing, and what to do. EMFILE has two meanings: without a descriptor of inotify none
 * was given, else this process has too many files open. */
static const char *watching_explain(const struct watch_state *state, bool has_inotify,
                                    const char **help)
{
    if (state->error == ENOSPC) {
        *help = "raise fs.inotify.max_user_watches; until then each reload.rescan is looked";
        return "no more inotify watches are allowed";
    }
    if (state->error == EMFILE && !has_inotify) {
        *help = "raise fs.inotify.max_user_instances; until then each reload.rescan is looked";
        return "no more inotify instances are allowed";
    }
    *help = "changes are found by looking each reload.rescan";
    return file_error(state->error);
}

const char *watching_why(const struct daemon *d, const char **help)
{
    struct watch_state now;

    watch_state(d->watch, &now);
    return now.polling ? watching_explain(&now, watch_descriptor(d->watch) >= 0, help) : NULL;
}

/* Once for each state: what inotify cannot see is found by the rescan only. */
static void say_polling(struct daemon *d)
{
    struct watch_state now;
    struct log_line line;

    watch_state(d->watch, &now);
    bool news = now.polling != d->watch_said.polling || now.error != d->watch_said.error;
    d->watch_said = now;
    if (!news)
        return;
    log_begin(&line, now.polling ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "watch");
    log_cstr(&line, "result", now.polling ? "polling" : "events");
    log_int(&line, "directories", (long long)now.watches);
    if (now.polling) {
        log_int(&line, "without", (long long)now.failed);
        const char *help = NULL, *message = watching_why(d, &help);
        log_cstr(&line, "message", message);
        log_cstr(&line, "help", help);
    }
    log_end(&line);
}

/* Everything that the configuration leads to, also one that was refused. True when that is not as
 * it was at the comparison before. */
static bool set_targets(struct daemon *d)
{
    const struct snapshot *s = d->snapshot;
    const struct sts_settings *c = &d->looked_at->settings;
    struct sts_arena *scratch = sts_arena_new();
    size_t count = 0, most = 1 + c->include_count + c->certificate_count;
    struct watch_target *targets = STS_ARRAY(scratch, most, struct watch_target);

    targets[count++] = (struct watch_target){WATCH_FILE, s->main_file.ptr};
    for (size_t i = 0; i < c->include_count; i++)
        targets[count++] = (struct watch_target){
            WATCH_FILE, file_resolve(scratch, s->base_dir, c->include[i].path).ptr};
    for (size_t i = 0; i < c->certificate_count; i++)
        targets[count++] = (struct watch_target){
            WATCH_TREE, file_resolve(scratch, s->base_dir, c->certificates[i].path).ptr};
    bool changed = watch_set_changed(d->watch, targets, count);
    sts_arena_free(scratch);
    sts_source_unref(d->watched);
    d->watched = sts_source_ref(d->looked_at);
    /* The descriptor is another one when inotify came only now. */
    if (d->watch_descriptor != watch_descriptor(d->watch)) {
        loop_forget(d->loop, d->watch_descriptor);
        d->watch_descriptor = watch_descriptor(d->watch);
        if (d->watch_descriptor >= 0)
            loop_watch(d->loop, d->watch_descriptor, POLLIN, on_event, d);
    }
    say_polling(d);
    return changed;
}

static void copy_told(struct sts_arena *arena, const struct watch_told *told,
                      struct snapshot_touched *out)
{
    struct file_name *files = STS_ARRAY(arena, told->file_count, struct file_name);
    struct file_entry *entries = STS_ARRAY(arena, told->entry_count, struct file_entry);

    for (size_t i = 0; i < told->file_count; i++)
        files[i] =
            (struct file_name){told->files[i].directory, sts_arena_dup(arena, told->files[i].name)};
    for (size_t i = 0; i < told->entry_count; i++)
        entries[i] = (struct file_entry){sts_arena_dup(arena, told->entries[i].directory),
                                         sts_arena_dup(arena, told->entries[i].name)};
    *out = (struct snapshot_touched){files, told->file_count, entries, told->entry_count};
}

/* A link to a folder, which no event calls one: what is in there is not watched. */
static bool any_leads_on(const struct watch_told *told)
{
    struct sts_buf path = {0};
    struct stat st;
    bool any = false;

    for (size_t i = 0; i < told->entry_count && !any; i++) {
        path.len = 0;
        sts_buf_printf(&path, "%.*s/%.*s", STS_ARG(told->entries[i].directory),
                       STS_ARG(told->entries[i].name));
        any = told->entries[i].name.len && stat(path.ptr, &st) == 0 && S_ISDIR(st.st_mode);
    }
    sts_buf_fini(&path);
    return any;
}

enum told watching_told(struct daemon *d, struct sts_arena *arena, struct snapshot_touched *out)
{
    struct watch_told told;
    size_t count = 0;

    watch_read(d->watch);
    if (watch_told(d->watch, &told) && !d->watch_said.polling)
        count = told.file_count + told.entry_count + told.folder_count;
    if (!count)
        return TOLD_NOT;
    watch_settle(d->watch);
    say_polling(d);
    if (!watch_told(d->watch, &told) || any_leads_on(&told))
        return TOLD_NOT;
    copy_told(arena, &told, out);
    watch_forget(d->watch);
    return snapshot_knows(d->snapshot, out) ? TOLD_ALL : TOLD_NEW;
}

void watching_go_on(struct daemon *d)
{
    d->watched_now = false;
    if (watch_read(d->watch))
        schedule_event(&d->schedule, clock_monotonic_ms());
}

void watching_begin(struct daemon *d)
{
    /* Whatever it was, it is looked at now. */
    if (!watch_read(d->watch) && d->watched_now)
        return;
    watch_forget(d->watch);
    set_targets(d);
}

static void want_wide_look(struct daemon *d)
{
    d->wide = true;
    schedule_event(&d->schedule, clock_monotonic_ms());
}

bool watching_all(const struct daemon *d)
{
    return d->watched == d->looked_at ||
           snapshot_same_paths(&d->watched->settings, &d->looked_at->settings);
}

void watching_compare(struct daemon *d, bool anew)
{
    /* Events tell of all that came since the look began, and when others are to be watched. */
    if (!anew && watching_all(d) && !d->watch_said.polling) {
        watching_go_on(d);
        return;
    }
    d->watched_now = set_targets(d);
    if (d->watched_now)
        want_wide_look(d);
}

void watching_rescan(struct daemon *d)
{
    bool news = false;

    d->watched_now = false;
    if (d->watch_said.polling ? set_targets(d) : watch_changed_untold(d->watch, &news))
        want_wide_look(d);
    else if (news)
        schedule_event(&d->schedule, clock_monotonic_ms());
}

void watching_start(struct daemon *d)
{
    set_targets(d);
    /* Files were read before anything was watched. */
    d->watched_now = true;
    want_wide_look(d);
}
