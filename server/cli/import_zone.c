/* The _mta-sts records of a zone file, which libldns reads, held against the policies. What is
 * wrong with them is a warning: what was imported is right all the same. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <ldns/ldns.h>

#include "mtasts/domain.h"
#include "server/cli/import.h"
#include "server/sys/file.h"

enum { ZONE_MAX = 256 << 20 };
static const struct sts_str owner_prefix = {"_mta-sts.", sizeof("_mta-sts.") - 1};

struct reader {
    struct sts_arena *arena;
    struct sts_diags *diags;
    struct sts_str path;
    int line;
    struct zone *zone;
    size_t value_capacity, apex_capacity;
};

static struct sts_pos import_zone_here(const struct reader *r)
{
    return (struct sts_pos){r->path, r->line > 0 ? (uint32_t)r->line : 0, 0};
}

/* Lower case, without the final dot. */
static struct sts_str name_of(struct reader *r, ldns_rdf *owner)
{
    ldns_dname2canonical(owner);
    char *text = ldns_rdf2str(owner);
    struct sts_str name = sts_arena_dup(r->arena, sts_str_from(text));

    free(text);
    return sts_str_ends(name, STS_STR(".")) ? sts_str_sub(name, 0, name.len - 1) : name;
}

/* The strings of a TXT record without what is between them. */
static struct sts_str text_of(struct reader *r, const ldns_rr *rr)
{
    struct sts_buf text = {0};

    for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
        const ldns_rdf *rdf = ldns_rr_rdf(rr, i);
        if (ldns_rdf_size(rdf) > 1)
            sts_buf_add(&text, (struct sts_str){(const char *)ldns_rdf_data(rdf) + 1,
                                                ldns_rdf_size(rdf) - 1});
    }
    struct sts_str result = sts_arena_dup(r->arena, sts_buf_str(&text));
    sts_buf_fini(&text);
    return result;
}

static void take_apex(struct reader *r, struct sts_str name)
{
    struct zone *z = r->zone;

    z->apexes =
        sts_arena_grow(r->arena, z->apexes, z->apex_count, &r->apex_capacity, sizeof(*z->apexes));
    z->apexes[z->apex_count++] = name;
}

static void take_value(struct reader *r, struct sts_str name, const ldns_rr *rr)
{
    struct zone *z = r->zone;
    struct sts_diags ignored;
    struct sts_str domain;

    sts_diags_init(&ignored, r->arena);
    if (!sts_domain_parse(r->arena, sts_str_sub(name, owner_prefix.len, name.len), STS_DOMAIN_WIRE,
                          import_zone_here(r), &ignored, &domain))
        return;
    z->values =
        sts_arena_grow(r->arena, z->values, z->count, &r->value_capacity, sizeof(*z->values));
    struct zone_value *value = &z->values[z->count++];
    *value = (struct zone_value){.domain = domain, .where = import_zone_here(r)};
    value->is_alias = ldns_rr_get_type(rr) == LDNS_RR_TYPE_CNAME;
    if (!value->is_alias)
        value->text = text_of(r, rr);
}

static void take_record(struct reader *r, const ldns_rr *rr)
{
    ldns_rr_type type = ldns_rr_get_type(rr);

    if (type != LDNS_RR_TYPE_SOA && type != LDNS_RR_TYPE_TXT && type != LDNS_RR_TYPE_CNAME)
        return;
    struct sts_str name = name_of(r, ldns_rr_owner(rr));
    if (type == LDNS_RR_TYPE_SOA)
        take_apex(r, name);
    else if (sts_str_starts(name, owner_prefix))
        take_value(r, name, rr);
}

/* Where no $ORIGIN says it, the file's name does: db.example.org, example.org.zone. */
static ldns_rdf *first_origin(struct reader *r)
{
    static const char *const endings[] = {".zone", ".db", ".hosts", ".txt", NULL};
    struct sts_str name = r->path, domain;
    struct sts_diags ignored;

    sts_diags_init(&ignored, r->arena);
    for (size_t at; (at = sts_str_find(name, '/', 0)) < name.len;)
        name = sts_str_sub(name, at + 1, name.len);
    if (sts_str_starts(name, STS_STR("db.")))
        name = sts_str_sub(name, 3, name.len);
    for (const char *const *e = endings; *e; e++)
        if (sts_str_ends(name, sts_str_from(*e)))
            name = sts_str_sub(name, 0, name.len - sts_str_from(*e).len);
    if (!sts_domain_parse(r->arena, name, STS_DOMAIN_CONFIG, import_zone_here(r), &ignored,
                          &domain))
        return NULL;
    return ldns_dname_new_frm_str(domain.ptr);
}

/* A name without final dot is relative here too (RFC 1035 §5.1); libldns takes it for absolute.
 * `line` is the directive. */
static void complete_origin(ldns_rdf *origin, const ldns_rdf *before, struct sts_str line)
{
    size_t end = sts_str_find(line, ';', 0);

    while (end > 0 && (unsigned char)line.ptr[end - 1] <= ' ')
        end--;
    if (origin && before && end > 0 && line.ptr[end - 1] != '.')
        ldns_dname_cat(origin, before);
}

static void read_records(struct reader *r, FILE *file, struct sts_str text)
{
    uint32_t ttl = 3600;
    ldns_rdf *origin = first_origin(r), *previous = NULL;

    while (!feof(file)) {
        ldns_rr *rr = NULL;
        long from = ftell(file);
        ldns_rdf *before = origin ? ldns_rdf_clone(origin) : NULL;
        ldns_status status = ldns_rr_new_frm_fp_l(&rr, file, &ttl, &origin, &previous, &r->line);
        if (status == LDNS_STATUS_OK)
            take_record(r, rr);
        else if (status == LDNS_STATUS_SYNTAX_ORIGIN)
            complete_origin(origin, before, sts_str_sub(text, (size_t)from, (size_t)ftell(file)));
        else if (status == LDNS_STATUS_SYNTAX_INCLUDE)
            sts_diag_add(r->diags, STS_WARNING, "import-zone", import_zone_here(r),
                         "$INCLUDE is not followed");
        else if (status != LDNS_STATUS_SYNTAX_TTL && status != LDNS_STATUS_SYNTAX_EMPTY)
            sts_diag_add(r->diags, STS_WARNING, "import-zone", import_zone_here(r),
                         "not understood: %s", ldns_get_errorstr_by_id(status));
        ldns_rr_free(rr);
        ldns_rdf_deep_free(before);
    }
    ldns_rdf_deep_free(origin);
    ldns_rdf_deep_free(previous);
}

static int import_zone_by_domain(const void *a, const void *b)
{
    const struct zone_value *x = a, *y = b;
    int order = sts_str_cmp(x->domain, y->domain);
    return order ? order : (x->where.line > y->where.line) - (x->where.line < y->where.line);
}

bool zone_read(struct sts_arena *arena, const char *path, struct sts_diags *diags, struct zone *out)
{
    struct sts_buf text = {0};
    struct reader r = {.arena = arena, .diags = diags, .zone = out};
    FILE *file = NULL;

    r.path = sts_arena_dup(arena, sts_str_from(path));
    if (file_read(path, ZONE_MAX, &text, NULL) == 0)
        file = text.len ? fmemopen(text.ptr, text.len, "r") : fopen("/dev/null", "r");
    if (file) {
        read_records(&r, file, sts_buf_str(&text));
        fclose(file);
        if (out->count)
            qsort(out->values, out->count, sizeof(*out->values), import_zone_by_domain);
    } else {
        sts_diag_add(diags, STS_ERROR, "import-unreadable", import_zone_here(&r), "%s",
                     file_error(errno));
    }
    sts_buf_fini(&text);
    return file != NULL;
}

/* --- Matching --- */
static void add_warnings(struct sts_diags *diags, struct sts_diags *from)
{
    for (struct sts_diag *d = from->first; d; d = d->next)
        d->severity = d->severity == STS_ERROR ? STS_WARNING : d->severity;
    sts_diags_append(diags, from);
}

static bool is_in_file(const struct zone *zone, struct sts_str domain)
{
    for (size_t i = 0; i < zone->apex_count; i++)
        if (sts_domain_is_within(domain, zone->apexes[i]))
            return true;
    return zone->apex_count == 0;
}

/* The one record that senders would use, of those at one name. */
static void match_values(struct sts_arena *arena, const struct zone_value *values, size_t count,
                         struct import_tenant *t, struct sts_diags *diags)
{
    struct sts_str *texts = STS_ARRAY(arena, count, struct sts_str);
    struct sts_diags said;
    size_t index;

    sts_diags_init(&said, arena);
    for (size_t i = 0; i < count; i++)
        texts[i] = values[i].text;
    if (values[0].is_alias) {
        sts_diag_add(&said, STS_NOTE, "import-txt-alias", values[0].where,
                     "_mta-sts.%.*s is a CNAME: its id is elsewhere", STS_ARG(t->domain));
    } else if (sts_txt_select(texts, count, STS_STR("v=STSv1;"), values[0].where, &said, &index)) {
        sts_txt_parse(arena, texts[index], values[index].where.source, &said, &t->id);
        for (struct sts_diag *d = said.first; d; d = d->next)
            d->where = values[index].where; /* a column of the value is none of the file */
    }
    add_warnings(diags, &said);
}

static void without_policy(const struct zone_value *value, struct sts_diags *diags)
{
    struct sts_diag *diag = sts_diag_add(
        diags, STS_WARNING, "import-txt-alone", value->where,
        "_mta-sts.%.*s announces a policy that is not among the files", STS_ARG(value->domain));
    sts_diag_help(diags, diag, "import that one too, or remove the record");
}

static void without_record(const struct import_tenant *t, const char *path, struct sts_diags *diags)
{
    struct sts_diag *diag = sts_diag_add(
        diags, STS_WARNING, "import-txt-missing", (struct sts_pos){t->path, 0, 0},
        "%s has no _mta-sts.%.*s: no sender uses this policy", path, STS_ARG(t->domain));
    sts_diag_help(diags, diag, "mta-stsd records prints what is to be published");
}

void zone_match(struct sts_arena *arena, const struct zone *zone, const char *path,
                struct import_tenant *tenants, size_t count, struct sts_diags *diags)
{
    size_t i = 0, j = 0;

    while (i < zone->count || j < count) {
        size_t end = i + 1;
        int order = i == zone->count ? 1
                    : j == count     ? -1
                                     : sts_str_cmp(zone->values[i].domain, tenants[j].domain);
        while (i < zone->count && end < zone->count &&
               sts_str_eq(zone->values[end].domain, zone->values[i].domain))
            end++;
        if (order < 0)
            without_policy(&zone->values[i], diags);
        else if (order == 0)
            match_values(arena, &zone->values[i], end - i, &tenants[j], diags);
        else if (is_in_file(zone, tenants[j].domain))
            without_record(&tenants[j], path, diags);
        i = order <= 0 ? end : i;
        j += order >= 0;
    }
}
