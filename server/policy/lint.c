/* Lints: policies that RFC 8461 allows and a real sender or checker does not like. One row a lint,
 * one check a row; both tables are walked together. */
#include "mtasts/policy.h"

#include <stdlib.h>
#include <string.h>

#include "mtasts/domain.h"

enum {
    DAY = 86400,
    WARN_SIZE = 4096,
    DOMAIN_ROOM = STS_DOMAIN_MAX - (sizeof("_smtp._tls.") - 1) /* the longest name in front */
};

enum lint {
    MX_MISSING,
    MX_MISSING_NONE,
    MAX_AGE_ZERO,
    MAX_AGE_ABOVE_LIMIT,
    MAX_AGE_BELOW_DAY,
    MAX_AGE_BELOW_WEEK,
    MAX_AGE_BELOW_FORTNIGHT,
    MAX_AGE_BELOW_FOUR_WEEKS,
    BODY_HUGE,
    BODY_LARGE,
    MX_PUBLIC_SUFFIX,
    MX_OWN_DOMAIN,
    MX_COVERED,
    MX_SINGLE_LABEL,
    TLSRPT_MISSING,
    MODE_TESTING,
    DOMAIN_PUBLIC_SUFFIX,
    DOMAIN_SINGLE_LABEL,
    DOMAIN_NO_ROOM,
    LINTS
};

const struct sts_lint sts_lints[] = {
    [MX_MISSING] = {"mx-missing", STS_ERROR, "every sender",
                    "a policy in mode enforce or testing needs an mx (RFC 8461 section 3.2)",
                    "list the names of your MX records"},
    [MX_MISSING_NONE] =
        {"mx-missing-none", STS_WARNING, "Stalwart, chasquid, NCSC, aykevl",
         "some senders refuse mode none without mx and go on enforcing the older policy",
         "keep the mx lines, they are allowed and harmless"},
    [MAX_AGE_ZERO] = {"max-age-zero", STS_ERROR, "chasquid, rest-mail, Mimecast",
                      "some senders refuse a policy with max_age 0",
                      "write 1d (86400 seconds) or more"},
    [MAX_AGE_ABOVE_LIMIT] = {"max-age-above-limit", STS_ERROR,
                             "postfix-mta-sts-resolver, checkdmarc",
                             "31557600 seconds is the limit of RFC 8461 section 3.2",
                             "write 31557600s or less, one year is 365d"},
    [MAX_AGE_BELOW_DAY] = {"max-age-below-day", STS_WARNING, "Google, Mimecast, aykevl",
                           "less than a day protects nobody: a cache is gone before the next mail",
                           "write 1d (86400 seconds) or more, 4w when the policy has settled"},
    [MAX_AGE_BELOW_WEEK] =
        {"max-age-below-week", STS_WARNING, "Mimecast, NCSC, aykevl",
         "Mimecast raises it to a week in mode enforce",
         "write 4w, 2419200 seconds (RFC 8461 section 3.2 expects weeks or more)"},
    [MAX_AGE_BELOW_FORTNIGHT] = {"max-age-below-fortnight", STS_WARNING, "NCSC, aykevl",
                                 "NCSC Mail Check wants two weeks in mode enforce",
                                 "write 4w (2419200 seconds)"},
    [MAX_AGE_BELOW_FOUR_WEEKS] = {"max-age-below-four-weeks", STS_NOTE, "aykevl",
                                  "the mta-sts checker wants four weeks outside testing",
                                  "write 4w (2419200 seconds)"},
    [BODY_HUGE] = {"body-huge", STS_ERROR, "chasquid",
                   "chasquid cuts a body of more than 10 KiB without a word", "use wildcards"},
    [BODY_LARGE] = {"body-large", STS_WARNING, "aykevl",
                    "a body of more than 4 KiB is unusual and near the limits of some senders",
                    "use wildcards, or fewer mx"},
    [MX_PUBLIC_SUFFIX] = {"mx-public-suffix", STS_WARNING, "you",
                          "anyone can register a name under this suffix and match "
                          "(RFC 8461 section 10.4)",
                          "name the mail servers, or a wildcard below a domain of your own"},
    [MX_OWN_DOMAIN] = {"mx-own-domain", STS_NOTE, "you",
                       "anyone with a host name and certificate in your domain can receive mail "
                       "(RFC 8461 section 10.4)",
                       "name the mail servers, or a wildcard such as *.mail.example.org"},
    [MX_COVERED] = {"mx-covered", STS_NOTE, "nobody", "another pattern matches it already",
                    "remove one of the two"},
    [MX_SINGLE_LABEL] = {"mx-single-label", STS_WARNING, "every sender",
                         "a name without a dot is never a public MX", "write the full host name"},
    [TLSRPT_MISSING] = {"tlsrpt-missing", STS_WARNING, "you",
                        "without an address for TLS reports (RFC 8460) failures stay invisible",
                        "set contact.tls_reports or the tenant's tls_reports"},
    [MODE_TESTING] = {"mode-testing", STS_NOTE, "you", "testing protects nothing",
                      "go to enforce when the TLS reports have been clean for some weeks"},
    [DOMAIN_PUBLIC_SUFFIX] = {"domain-public-suffix", STS_WARNING, "you",
                              "this is a public suffix, hardly a mail domain",
                              "write the mail domain: the part behind the @"},
    [DOMAIN_SINGLE_LABEL] = {"domain-single-label", STS_WARNING, "every sender",
                             "a name without a dot has no public policy host",
                             "write the full mail domain"},
    [DOMAIN_NO_ROOM] = {"domain-no-room", STS_ERROR, "every sender",
                        "with mta-sts. or _smtp._tls. in front it has more than 253 octets",
                        "there is no MTA-STS for a name this long, use a shorter one"},
    [LINTS] = {NULL, STS_NOTE, NULL, NULL, NULL},
};

struct linter {
    const struct sts_policy *policy;
    const struct sts_lint_context *context;
    struct sts_diags *diags;
};

static void lint_report(struct linter *l, enum lint which, struct sts_pos where,
                        struct sts_str subject)
{
    const struct sts_lint *lint = &sts_lints[which];
    struct sts_diag *diag =
        subject.len ? sts_diag_add(l->diags, lint->severity, lint->code, where, "%.*s: %s",
                                   STS_ARG(subject), lint->why)
                    : sts_diag_add(l->diags, lint->severity, lint->code, where, "%s", lint->why);
    bool others = strcmp(lint->hurts, "you") != 0 && strcmp(lint->hurts, "nobody") != 0;
    sts_diag_help(l->diags, diag, "%s%s%s%s", lint->fix, others ? " (hurts: " : "",
                  others ? lint->hurts : "", others ? ")" : "");
}

static struct sts_pos lint_place(struct sts_pos own, struct sts_pos fallback)
{
    return own.line ? own : fallback;
}

static struct sts_pos mx_place(const struct linter *l, size_t i)
{
    struct sts_pos where = l->context->where;
    return l->context->mx_where ? lint_place(l->context->mx_where[i], where) : where;
}

static void lint_max_age(struct linter *l)
{
    uint32_t age = l->policy->max_age;
    bool enforce = l->policy->mode == STS_MODE_ENFORCE;
    struct sts_pos where = lint_place(l->context->max_age_where, l->context->where);

    if (age == 0)
        lint_report(l, MAX_AGE_ZERO, where, (struct sts_str){0});
    else if (age > STS_MAX_AGE_LIMIT)
        lint_report(l, MAX_AGE_ABOVE_LIMIT, where, (struct sts_str){0});
    else if (age < DAY)
        lint_report(l, MAX_AGE_BELOW_DAY, where, (struct sts_str){0});
    else if (enforce && age < 7 * DAY)
        lint_report(l, MAX_AGE_BELOW_WEEK, where, (struct sts_str){0});
    else if (enforce && age < 14 * DAY)
        lint_report(l, MAX_AGE_BELOW_FORTNIGHT, where, (struct sts_str){0});
    else if (enforce && age < 28 * DAY)
        lint_report(l, MAX_AGE_BELOW_FOUR_WEEKS, where, (struct sts_str){0});
}

static void lint_size(struct linter *l)
{
    struct sts_buf body = {0};

    if (l->policy->max_age > STS_MAX_AGE_LIMIT)
        return;
    sts_policy_render(&body, l->policy);
    if (body.len > STS_POLICY_HARD_MAX)
        lint_report(l, BODY_HUGE, l->context->where, (struct sts_str){0});
    else if (body.len > WARN_SIZE)
        lint_report(l, BODY_LARGE, l->context->where, (struct sts_str){0});
    sts_buf_fini(&body);
}

static int lint_by_bytes(const void *a, const void *b)
{
    return sts_str_cmp(*(const struct sts_str *)a, *(const struct sts_str *)b);
}

/* Only the wildcard one label up covers a name, and the patterns are sorted. */
static bool lint_covered(const struct sts_policy *policy, struct sts_str mx)
{
    char wide[STS_DOMAIN_MAX + 2];
    size_t dot = sts_str_find(mx, '.', 0);

    if (mx.ptr[0] == '*' || dot == mx.len)
        return false;
    wide[0] = '*';
    memcpy(wide + 1, mx.ptr + dot, mx.len - dot);
    const struct sts_str key = {wide, 1 + mx.len - dot};
    return bsearch(&key, policy->mx, policy->mx_count, sizeof(key), lint_by_bytes) != NULL;
}

static void lint_mx(struct linter *l, size_t i)
{
    struct sts_str mx = l->policy->mx[i];
    bool wild = sts_str_starts(mx, STS_STR("*."));
    struct sts_str base = wild ? sts_str_sub(mx, 2, mx.len) : mx;

    if (wild && sts_domain_is_public_suffix(base))
        lint_report(l, MX_PUBLIC_SUFFIX, mx_place(l, i), mx);
    else if (wild && sts_str_eq(base, l->context->domain))
        lint_report(l, MX_OWN_DOMAIN, mx_place(l, i), mx);
    if (!wild && sts_domain_labels(mx) == 1)
        lint_report(l, MX_SINGLE_LABEL, mx_place(l, i), mx);
    if (lint_covered(l->policy, mx))
        lint_report(l, MX_COVERED, mx_place(l, i), mx);
}

static void lint_domain(struct linter *l)
{
    struct sts_str domain = l->context->domain;

    if (!domain.len)
        return;
    if (sts_domain_labels(domain) == 1)
        lint_report(l, DOMAIN_SINGLE_LABEL, l->context->where, domain);
    else if (sts_domain_is_public_suffix(domain))
        lint_report(l, DOMAIN_PUBLIC_SUFFIX, l->context->where, domain);
    if (domain.len > DOMAIN_ROOM)
        lint_report(l, DOMAIN_NO_ROOM, l->context->where, domain);
}

bool sts_policy_lint(const struct sts_policy *policy, const struct sts_lint_context *context,
                     struct sts_diags *diags)
{
    struct linter l = {policy, context, diags};
    size_t errors = diags->errors;
    struct sts_pos mode_where = lint_place(context->mode_where, context->where);

    lint_domain(&l);
    if (policy->mx_count == 0)
        lint_report(&l, policy->mode == STS_MODE_NONE ? MX_MISSING_NONE : MX_MISSING,
                    context->where, (struct sts_str){0});
    for (size_t i = 0; i < policy->mx_count; i++)
        lint_mx(&l, i);
    lint_max_age(&l);
    lint_size(&l);
    if (policy->mode == STS_MODE_ENFORCE && context->tlsrpt_known && !context->has_tlsrpt)
        lint_report(&l, TLSRPT_MISSING, mode_where, (struct sts_str){0});
    if (policy->mode == STS_MODE_TESTING)
        lint_report(&l, MODE_TESTING, mode_where, (struct sts_str){0});
    return diags->errors == errors;
}
