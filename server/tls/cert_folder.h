/* Inside of cert_find: what is in a folder, by one listing. */
#ifndef MTASTS_TLS_CERT_FOLDER_H
#define MTASTS_TLS_CERT_FOLDER_H

#include <sys/stat.h>

#include "mtasts/str.h"

struct folder_entry {
    const char *name;
    bool is_folder; /* or a link to one */
};

/* Without names that begin with a dot; in the same order in every run. */
struct folder {
    struct folder_entry *entries; /* on the heap, with their names */
    size_t count;
    int fd;
    struct stat st; /* before it was listed */
};

/* `path` as seen from the open folder `from` (openat(2)). -1 with errno. */
int folder_list(struct folder *folder, int from, const char *path);
void folder_fini(struct folder *folder);
bool folder_has(const struct folder *folder, const char *name);

#endif
