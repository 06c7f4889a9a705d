/* One page for people: HTML 5 (the HTML Living Standard) with its style and script inside, nothing
 * from elsewhere. It is whole without the script, which adds the search and the copy buttons. In
 * text and attributes & < > " ' are character references, and what is not printable ASCII is \xHH.
 * What a button copies is the text of the <code> beside it. */
#include "server/dns/format.h"
#include "server/dns/page.h"

static void format_html_add_text(struct sts_buf *out, struct sts_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < ' ' || c >= 0x7f)
            sts_buf_printf(out, "\\x%02X", c);
        else if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'')
            sts_buf_printf(out, "&#%u;", c);
        else
            sts_buf_add(out, sts_str_sub(text, i, i + 1));
    }
}

static void add_time(struct sts_buf *out, time_t t)
{
    struct tm tm;
    char machine[32], people[32];

    if (!gmtime_r(&t, &tm) || !strftime(machine, sizeof(machine), "%Y-%m-%dT%H:%M:%SZ", &tm) ||
        !strftime(people, sizeof(people), "%Y-%m-%d %H:%M UTC", &tm))
        return; /* no clock says this */
    sts_buf_printf(out, "<time datetime=\"%s\">%s</time>", machine, people);
}

/* In the largest unit that says it exactly: 2419200 is "4 weeks". */
static void add_span(struct sts_buf *out, uint32_t seconds)
{
    static const struct {
        uint32_t seconds;
        const char *name;
    } units[] = {{604800, "week"}, {86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
    size_t i = 0;

    while (seconds ? seconds % units[i].seconds != 0 : units[i].seconds > 1)
        i++;
    uint32_t count = seconds / units[i].seconds;
    sts_buf_printf(out, "%u %s%s", count, units[i].name, count == 1 ? "" : "s");
}

void format_html_begin(struct sts_buf *out, const struct sts_format_context *c)
{
    sts_buf_add_cstr(out, "<!DOCTYPE html>\n"
                          "<html lang=\"en\">\n"
                          "<head>\n"
                          "<meta charset=\"utf-8\">\n"
                          "<meta http-equiv=\"Content-Security-Policy\" content=\"");
    page_add_policy(out);
    sts_buf_add_cstr(out,
                     "\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                     "<meta name=\"color-scheme\" content=\"light dark\">\n"
                     "<meta name=\"referrer\" content=\"no-referrer\">\n"
                     "<meta name=\"robots\" content=\"noindex\">\n"
                     "<title>DNS records for MTA-STS</title>\n"
                     "<style>");
    sts_buf_add(out, page_style());
    sts_buf_add_cstr(out, "</style>\n"
                          "</head>\n"
                          "<body>\n"
                          "<header class=\"top\">\n"
                          "<h1>DNS records for MTA-STS</h1>\n"
                          "<p>As of ");
    add_time(out, c->now);
    sts_buf_add_cstr(
        out, ", by mta-stsd. Records stand in the order in which they are to be published.</p>\n"
             "</header>\n"
             "<div class=\"search\" role=\"search\" hidden>\n"
             "<label for=\"search\">Search by domain, state or id"
             "<kbd aria-hidden=\"true\">/</kbd></label>\n"
             "<p role=\"status\"></p>\n"
             "<input id=\"search\" type=\"search\" autocomplete=\"off\" autocapitalize=\"off\" "
             "spellcheck=\"false\" aria-keyshortcuts=\"/\">\n"
             "</div>\n"
             "<main>\n");
}

static void add_badge(struct sts_buf *out, const char *state)
{
    sts_buf_add_cstr(out, "<span class=\"badge ");
    format_html_add_text(out, sts_str_from(state));
    sts_buf_add_cstr(out, "\">");
    format_html_add_text(out, sts_str_from(state));
    sts_buf_add_cstr(out, "</span>\n");
}

static const char *state_of(const struct sts_record_set *set)
{
    return set->withdrawn ? "withdrawn" : set->state;
}

/* The name is an attribute as well: programs that read aloud get it also where nothing is laid out.
 * So is the text that the search looks at. */
static void add_title(struct sts_buf *out, const struct sts_record_set *set)
{
    const char *state = state_of(set);

    sts_buf_add_cstr(out, "<section class=\"tenant\" aria-label=\"");
    format_html_add_text(out, set->domain);
    sts_buf_add_cstr(out, "\" data-find=\"");
    format_html_add_text(out, set->domain);
    sts_buf_add_cstr(out, " ");
    format_html_add_text(out, sts_str_from(state));
    sts_buf_add_cstr(out, set->pending.len ? " pending " : " ");
    format_html_add_text(out, set->id);
    sts_buf_add_cstr(out, "\">\n<div class=\"title\">\n<h2>");
    format_html_add_text(out, set->domain);
    sts_buf_add_cstr(out, "</h2>\n");
    if (state)
        add_badge(out, state);
    if (set->pending.len)
        add_badge(out, "pending");
    sts_buf_add_cstr(out, "</div>\n");
}

static void add_notes(struct sts_buf *out, const struct sts_record_set *set)
{
    static const struct {
        const char *state, *note;
    } notes[] = {
        {"kept", "Its configuration has an error: the last good policy is served."},
        {"retiring", "Mode none is served until senders have forgotten the policy."},
        {"no-certificate", "Not served: there is no certificate for its policy host."},
        {"withdrawn", "No tenant any more: delete this record."},
    };
    const char *state = state_of(set);

    for (size_t i = 0; state && i < sizeof(notes) / sizeof(*notes); i++)
        if (sts_str_is(sts_str_from(state), notes[i].state))
            sts_buf_printf(out, "<p class=\"note\">%s</p>\n", notes[i].note);
    if (!set->pending.len)
        return;
    sts_buf_add_cstr(out, "<p class=\"pending note\">_mta-sts.");
    format_html_add_text(out, set->domain);
    sts_buf_add_cstr(out, " is pending: ");
    format_html_add_text(out, set->pending);
    sts_buf_add_cstr(out, "</p>\n");
}

static void add_facts(struct sts_buf *out, const struct sts_record_set *set)
{
    sts_buf_add_cstr(out, "<dl class=\"facts\">\n<div><dt>zone</dt><dd>");
    format_html_add_text(out, set->zone);
    sts_buf_add_cstr(out, "</dd></div>\n");
    if (set->mode && !set->withdrawn) {
        sts_buf_printf(out, "<div><dt>policy</dt><dd>%s, kept by senders for ", set->mode);
        add_span(out, set->max_age);
        sts_buf_add_cstr(out, "</dd></div>\n");
    }
    if (set->id.len) {
        sts_buf_add_cstr(out, "<div><dt>id</dt><dd>");
        format_html_add_text(out, set->id);
        sts_buf_add_cstr(out, "</dd></div>\n");
    }
    sts_buf_add_cstr(out, "</dl>\n");
}

static void format_html_add_field(struct sts_buf *out, const char *class, const char *label,
                                  struct sts_str value)
{
    sts_buf_printf(out, "<div class=\"%s\"><dt>%s</dt><dd><code>", class, label);
    format_html_add_text(out, value);
    sts_buf_add_cstr(out, "</code></dd></div>\n");
}

static void add_fields(struct sts_buf *out, const struct sts_record_set *set,
                       const struct sts_record *r)
{
    struct sts_buf line = {0};

    format_html_add_field(out, "wide name", "host", format_relative(r->owner, set->zone));
    format_html_add_field(out, "wide name", "full name", r->owner);
    format_html_add_field(out, "short", "type", sts_str_from(sts_rr_type_name(r->type)));
    sts_buf_printf(out, "<div class=\"short\"><dt>TTL</dt><dd><code>%u</code><span>", r->ttl);
    add_span(out, r->ttl);
    sts_buf_add_cstr(out, "</span></dd></div>\n");
    if (r->type == STS_RR_CAA) { /* forms ask for the three apart */
        format_html_add_field(out, "short", "flags", STS_STR("0"));
        format_html_add_field(out, "short", "tag", STS_STR("issue"));
    }
    format_html_add_field(out, "wide", "value", r->value);
    format_add_line(&line, r->owner, r);
    format_html_add_field(out, "wide line", "zone file", sts_buf_str(&line));
    sts_buf_fini(&line);
}

/* The buttons of each record are called by its name and type, and by its number if it shares them.
 */
static void format_html_add_records(struct sts_buf *out, const struct sts_record_set *set)
{
    sts_buf_printf(out, "<div>\n<h3>%s</h3>\n<ol>\n",
                   set->withdrawn ? "Record to delete" : "Records");
    for (size_t i = 0; i < set->count;) {
        size_t count = format_rrset(set, i);
        for (size_t n = 1; n <= count; n++, i++) {
            const struct sts_record *r = &set->records[i];
            sts_buf_add_cstr(out, "<li class=\"record\" data-name=\"");
            format_html_add_text(out, r->owner);
            sts_buf_printf(out, " %s", sts_rr_type_name(r->type));
            if (count > 1)
                sts_buf_printf(out, ", %zu of %zu", n, count);
            sts_buf_printf(out, "\">\n<h4>%s", r->purpose);
            if (count > 1)
                sts_buf_printf(out, " <span>%zu of %zu</span>", n, count);
            sts_buf_add_cstr(out, "</h4>\n<dl class=\"fields\">\n");
            add_fields(out, set, r);
            sts_buf_add_cstr(out, "</dl>\n</li>\n");
        }
    }
    sts_buf_add_cstr(out, "</ol>\n</div>\n");
}

static void add_steps(struct sts_buf *out, const struct sts_record_set *set)
{
    static const struct {
        const char *class, *word, *since; /* with a time: `since` */
    } states[] = {
        [STS_STEP_DONE] = {"done", "done", "done "},
        [STS_STEP_NOW] = {"now", "now", "now, since "},
        [STS_STEP_WAIT] = {"wait", "later", "wait until "},
    };

    sts_buf_add_cstr(out, "<div>\n<h3>Steps</h3>\n<ol>\n");
    for (size_t i = 0; i < set->step_count; i++) {
        const struct sts_step *step = &set->steps[i];
        sts_buf_printf(out, "<li class=\"step %s\"><b>%s", states[step->state].class,
                       step->at ? states[step->state].since : states[step->state].word);
        if (step->at)
            add_time(out, step->at);
        sts_buf_add_cstr(out, "</b> ");
        format_html_add_text(out, step->text);
        sts_buf_add_cstr(out, "</li>\n");
    }
    sts_buf_add_cstr(out, "</ol>\n</div>\n");
}

void format_html(struct sts_buf *out, const struct sts_format_context *c,
                 const struct sts_record_set *set)
{
    (void)c;
    add_title(out, set);
    add_notes(out, set);
    add_facts(out, set);
    sts_buf_printf(out, "<div class=\"body%s\">\n", set->step_count ? " with-steps" : "");
    if (set->count)
        format_html_add_records(out, set);
    if (set->step_count)
        add_steps(out, set);
    sts_buf_add_cstr(out, "</div>\n</section>\n");
}

void format_html_end(struct sts_buf *out, const struct sts_format_context *c)
{
    sts_buf_printf(out,
                   "</main>\n"
                   "<footer><p>%zu tenant%s. Made by <code>mta-stsd records --format html</code>; "
                   "make it again after a change.</p></footer>\n"
                   "<p class=\"said aside\" role=\"status\"></p>\n"
                   "<script>",
                   c->index, c->index == 1 ? "" : "s");
    sts_buf_add(out, page_script());
    sts_buf_add_cstr(out, "</script>\n</body>\n</html>\n");
}
