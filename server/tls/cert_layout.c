#include "server/tls/cert_layout.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "server/sys/file.h"

struct sts_str place_path(const struct place *p, struct sts_str name)
{
    return sts_arena_join(p->arena, p->path, name);
}

/* A dangling link counts: its target may be on the way. */
static bool cert_layout_exists(const struct place *p, struct sts_str name)
{
    struct stat st;

    return p->folder ? folder_has(p->folder, name.ptr) : lstat(place_path(p, name).ptr, &st) == 0;
}

bool cert_find_is_key(struct sts_str path)
{
    struct sts_str name = file_basename(path);

    return sts_str_is(name, "privkey.pem") || sts_str_is(name, "key.pem") ||
           sts_str_ends(name, STS_STR("-key.pem")) || sts_str_ends(name, STS_STR(".key"));
}

/* The only "*.key" of a folder (acme.sh names it after the host), or empty. */
static struct sts_str only_key(const struct place *p)
{
    struct folder own = {.fd = -1};
    const struct folder *folder = p->folder;
    struct sts_str found = {0};
    size_t count = 0;

    if (!folder) {
        folder_list(&own, AT_FDCWD, p->path.len ? p->path.ptr : ".");
        folder = &own;
    }
    for (size_t i = 0; i < folder->count; i++) {
        struct sts_str name = sts_str_from(folder->entries[i].name);
        if (sts_str_ends(name, STS_STR(".key")) && count++ == 0)
            found = sts_arena_dup(p->arena, name);
    }
    folder_fini(&own);
    return count == 1 ? found : (struct sts_str){0};
}

static struct sts_str first_that_exists(const struct place *p, struct sts_str a, struct sts_str b)
{
    return cert_layout_exists(p, a) ? a : cert_layout_exists(p, b) ? b : (struct sts_str){0};
}

/* `name` with its last four bytes replaced by `ending`. */
static struct sts_str cert_layout_sibling(const struct place *p, struct sts_str name,
                                          struct sts_str ending)
{
    return sts_arena_join(p->arena, sts_str_sub(name, 0, name.len - 4), ending);
}

/* Of a client that gives each host a folder. */
static bool is_one_of_a_folder(struct sts_str name)
{
    return sts_str_is(name, "fullchain.pem") || sts_str_is(name, "fullchain.cer") ||
           sts_str_is(name, "tls.crt") || sts_str_is(name, "cert.pem");
}

bool layout_match(const struct place *p, struct sts_str name, struct sts_str *key)
{
    if (sts_str_is(name, "fullchain.pem")) {
        *key = first_that_exists(p, STS_STR("privkey.pem"), STS_STR("key.pem"));
        *key = key->len ? *key : STS_STR("privkey.pem");
    } else if (sts_str_is(name, "fullchain.cer")) {
        *key = only_key(p);
    } else if (sts_str_is(name, "tls.crt")) {
        *key = STS_STR("tls.key");
    } else if (sts_str_is(name, "cert.pem")) {
        if (cert_layout_exists(p, STS_STR("fullchain.pem")))
            return false; /* certbot: the leaf alone */
        *key = first_that_exists(p, STS_STR("key.pem"), STS_STR("privkey.pem"));
    } else if (sts_str_ends(name, STS_STR(".crt")) || sts_str_ends(name, STS_STR(".pem"))) {
        struct sts_str dot = cert_layout_sibling(p, name, STS_STR(".key"));
        *key = first_that_exists(p, dot,
                                 sts_str_ends(name, STS_STR(".pem"))
                                     ? cert_layout_sibling(p, name, STS_STR("-key.pem"))
                                     : dot);
        if (!key->len && sts_str_is(name, "chain.pem") &&
            cert_layout_exists(p, STS_STR("fullchain.pem")))
            return false; /* certbot: what is above the leaf */
    } else {
        return false;
    }
    return true;
}

/* The host that clients name the folder or, in folders of many, the file after. */
static struct sts_str cert_layout_label(const struct place *p, struct sts_str file)
{
    struct sts_str folder =
        file_basename(sts_str_sub(p->path, 0, p->path.len ? p->path.len - 1 : 0));
    struct sts_str name = file_basename(file);

    if (sts_str_is(name, "fullchain.cer") && sts_str_ends(folder, STS_STR("_ecc")))
        return sts_str_sub(folder, 0, folder.len - 4);
    if (is_one_of_a_folder(name))
        return folder;
    return sts_str_sub(name, 0, name.len - 4);
}

struct cert_candidate layout_candidate(const struct place *p, struct sts_str name,
                                       struct sts_str key, struct sts_pos where)
{
    struct cert_candidate c = {.where = where, .file = place_path(p, name)};

    c.key_file = key.len ? place_path(p, key) : c.file;
    c.label = cert_layout_label(p, c.file);
    c.required = key.len > 0 || (is_one_of_a_folder(name) && !sts_str_is(name, "cert.pem"));
    return c;
}
