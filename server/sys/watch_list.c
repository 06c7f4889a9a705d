/* What events tell of: files by their directories, up to a limit. */
#include <errno.h>

#include "server/sys/watch_parts.h"

void watch_list_reset(struct watch_list *l)
{
    sts_arena_free(l->arena);
    l->arena = sts_arena_new();
    l->file_count = l->entry_count = l->folder_count = 0;
}

bool watch_list_file(struct watch_list *l, struct sts_str directory, struct sts_str name,
                     bool named)
{
    struct file_id id = file_identify(directory.ptr);

    for (size_t i = 0; i < l->file_count; i++)
        if (sts_str_eq(l->files[i].name, name) && file_id_same(l->files[i].directory, id))
            return true;
    if (l->file_count == WATCH_TOLD_MAX)
        return false;
    l->paths[l->file_count] = sts_arena_dup(l->arena, directory);
    l->named[l->file_count] = named;
    l->files[l->file_count++] = (struct file_name){id, sts_arena_dup(l->arena, name)};
    return true;
}

bool watch_list_entry(struct watch_list *l, struct sts_str directory, struct sts_str name)
{
    for (size_t i = 0; i < l->entry_count; i++)
        if (sts_str_eq(l->entries[i].name, name) && sts_str_eq(l->entries[i].directory, directory))
            return true;
    if (l->entry_count == WATCH_TOLD_MAX)
        return false;
    l->entries[l->entry_count++] =
        (struct file_entry){sts_arena_dup(l->arena, directory), sts_arena_dup(l->arena, name)};
    return true;
}

bool watch_list_folder(struct watch_list *l, struct sts_str directory, struct sts_str name,
                       int levels)
{
    /* What they are called decides about each other (certbot). */
    if (l->folder_count == WATCH_TOLD_MAX || sts_str_is(name, "live") ||
        sts_str_is(name, "archive"))
        return false;
    l->folders[l->folder_count++] = (struct watch_folder){
        sts_arena_printf(l->arena, "%.*s/%.*s", STS_ARG(directory), STS_ARG(name)), levels};
    return true;
}

bool watch_list_is_first(const struct watch_list *l, size_t entry)
{
    bool first = true;

    for (size_t i = 0; i < entry && first; i++)
        first = !sts_str_eq(l->entries[i].directory, l->entries[entry].directory);
    return first;
}

bool watch_list_is_regular(const struct watch_list *l)
{
    bool good = true;

    for (size_t i = 0; good && i < l->file_count; i++) {
        struct sts_str path = sts_arena_printf(l->arena, "%.*s/%.*s", STS_ARG(l->paths[i]),
                                               STS_ARG(l->files[i].name));
        struct stat st;
        good = lstat(path.ptr, &st) == 0 ? S_ISREG(st.st_mode) : errno == ENOENT;
    }
    return good;
}
