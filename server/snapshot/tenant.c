/* What a tenant is, as far as it is not kept for each: said by its source, or one for many. */
#include <string.h>

#include "server/snapshot/snapshot.h"
#include "server/sys/file.h"

_Static_assert(sizeof(struct tenant) <= 56, "there may be a million of them, twice");

struct sts_str tenant_host(const struct tenant *t)
{
    static const size_t label = sizeof(STS_HOST_LABEL) - 1;
    return (struct sts_str){t->domain.ptr - label, t->domain.len + label};
}

struct sts_str tenant_body(const struct tenant *t)
{
    return t->body ? t->body->text : (struct sts_str){0};
}

bool tenant_same_body(const struct tenant *a, const struct tenant *b)
{
    return a->body == b->body || sts_str_eq(tenant_body(a), tenant_body(b));
}

const struct sts_policy *tenant_policy(const struct tenant *t)
{
    static const struct sts_policy none;
    return t->body ? &t->body->policy : &none;
}

/* Without the directory of the main file, which every relative name begins with. */
struct sts_str snapshot_stored_file(const struct snapshot *s, struct snapshot_file file)
{
    size_t length = s->base_dir.len;

    if (!file.relative || sts_str_is(s->base_dir, ".") || !sts_str_starts(file.name, s->base_dir))
        return file.name;
    while (length < file.name.len && file.name.ptr[length] == '/')
        length++;
    return sts_str_sub(file.name, length, file.name.len);
}

struct snapshot_file tenant_file(const struct snapshot *s, const struct tenant *t)
{
    if (t->orphan && t->file == SNAPSHOT_NO_FILE)
        return (struct snapshot_file){0};
    if (t->orphan)
        return s->lost_files[t->file];
    const struct snapshot_source *source = &s->sources[t->file];
    return (struct snapshot_file){source->source->name, source->relative};
}

struct sts_str tenant_stored_file(const struct snapshot *s, const struct tenant *t)
{
    struct snapshot_file file = tenant_file(s, t);

    if (!t->orphan && s->sources[t->file].source->is_main)
        return file_basename(file.name);
    return snapshot_stored_file(s, file);
}

struct sts_pos tenant_where(const struct snapshot *s, const struct tenant *t)
{
    if (t->orphan) {
        struct sts_str file = tenant_file(s, t).name;
        return (struct sts_pos){file.len ? file : s->main_file, 0, 0};
    }
    const struct sts_source *source = s->sources[t->file].source;
    return sts_source_pos(source, source->tenants[t->nth].where);
}

const struct sts_str *tenant_reports(const struct snapshot *s, const struct tenant *t,
                                     size_t *count)
{
    const struct sts_tenant_terms *terms =
        t->orphan ? NULL : s->sources[t->file].source->tenants[t->nth].terms;
    bool own = terms && terms->has_tls_reports;

    *count = own ? terms->tls_report_count : s->settings.tls_report_count;
    return own ? terms->tls_reports : s->settings.tls_reports;
}
