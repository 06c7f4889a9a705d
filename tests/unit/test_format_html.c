/* The html format: what is escaped, and what each kind of set shows. How the page behaves is for
 * tests/integration/test_page.py. */
#include "tests/unit/test.h"

#include <string.h>

#include "mtasts/record.h"
#include "server/dns/format.h"
#include "server/dns/page.h"

#define AT 1764000000 /* 2025-11-24 16:00:00 UTC */

static const struct sts_record address = {
    .owner = {"mta-sts.example.org", 19},
    .type = STS_RR_A,
    .ttl = 5400,
    .value = {"192.0.2.1", 9},
    .purpose = "where the policy is served",
};

static struct sts_record_set example(void)
{
    return (struct sts_record_set){.domain = STS_STR("example.org"),
                                   .zone = STS_STR("example.org"),
                                   .id = STS_STR("20260101Z"),
                                   .records = &address,
                                   .count = 1,
                                   .state = "served",
                                   .mode = "enforce",
                                   .max_age = 2419200};
}

static const char *render(struct sts_buf *out, const struct sts_record_set *sets, size_t count)
{
    const struct sts_record_format *format = sts_record_format_find(STS_STR("html"));
    struct sts_format_context c = {.now = AT};

    assert_true(format->with_steps);
    format->begin(out, &c);
    for (; c.index < count; c.index++)
        format->set(out, &c, &sets[c.index]);
    format->end(out, &c);
    for (size_t i = 0; i < out->len; i++)
        assert_true(out->ptr[i] == '\n' || (out->ptr[i] >= ' ' && out->ptr[i] < 0x7f));
    return out->ptr;
}

/* The page of this one set has `text` somewhere behind its head. */
static bool shows(const struct sts_record_set *set, const char *text)
{
    struct sts_buf out = {0};
    const char *body = strstr(render(&out, set, 1), "<main>");

    assert_non_null(body);
    const char *end = strstr(body, "<script>"), *found = strstr(body, text);
    bool is_there = found && found < end;
    sts_buf_fini(&out);
    return is_there;
}

static void text_is_escaped(void **state)
{
    (void)state;
    struct sts_record record = address;
    struct sts_record_set set = example();

    record.type = STS_RR_TXT;
    record.value = STS_STR("<b a=\"1\" c='2'>&\\\n\x7f\xc3");
    set.records = &record;
    assert_true(
        shows(&set, "<code>&#60;b a=&#34;1&#34; c=&#39;2&#39;&#62;&#38;\\\\x0A\\x7F\\xC3</code>"));
    /* In the zone file line what zone files escape is escaped before. */
    assert_true(shows(&set, "&#38;\\\\\\010\\127\\195&#34;</code>"));
    assert_false(shows(&set, "<b a"));

    set.state = "\" onclick=\"x";
    assert_true(shows(&set, "class=\"badge &#34; onclick=&#34;x\""));
    assert_false(shows(&set, "\" onclick"));
    set.pending = STS_STR("<i>\n& 'why'");
    assert_true(shows(&set, "_mta-sts.example.org is pending: &#60;i&#62;\\x0A&#38; &#39;why"));
}

static void fields_of_a_record(void **state)
{
    (void)state;
    struct sts_record_set set = example();

    assert_true(shows(&set, "<dt>host</dt><dd><code>mta-sts</code>"));
    assert_true(shows(&set, "<dt>full name</dt><dd><code>mta-sts.example.org</code>"));
    assert_true(shows(&set, "<dt>type</dt><dd><code>A</code>"));
    assert_true(shows(&set, "<dt>TTL</dt><dd><code>5400</code><span>90 minutes</span>"));
    assert_true(shows(&set, "<dt>value</dt><dd><code>192.0.2.1</code>"));
    assert_true(shows(&set, "<code>mta-sts.example.org. 5400 IN A 192.0.2.1</code>"));
    assert_true(shows(&set, "data-name=\"mta-sts.example.org A\""));
    assert_true(shows(&set, "<dt>policy</dt><dd>enforce, kept by senders for 4 weeks</dd>"));
    assert_true(shows(&set, "data-find=\"example.org served 20260101Z\""));
}

static void records_of_one_name_and_type_are_numbered(void **state)
{
    (void)state;
    struct sts_record records[] = {address, address, address};
    struct sts_record_set set = example();

    records[1].value = STS_STR("192.0.2.2");
    records[2].type = STS_RR_CAA;
    records[2].value = STS_STR("ca.example");
    set.records = records;
    set.count = 3;
    assert_true(shows(&set, "data-name=\"mta-sts.example.org A, 1 of 2\""));
    assert_true(shows(&set, "data-name=\"mta-sts.example.org A, 2 of 2\""));
    assert_true(shows(&set, "data-name=\"mta-sts.example.org CAA\""));
    assert_true(shows(&set, "<dt>flags</dt><dd><code>0</code>"));
    assert_true(shows(&set, "<dt>tag</dt><dd><code>issue</code>"));
}

static void durations_in_words(void **state)
{
    (void)state;
    static const struct {
        uint32_t seconds;
        const char *words;
    } rows[] = {
        {0, "for 0 seconds<"},
        {1, "for 1 second<"},
        {61, "for 61 seconds<"},
        {60, "for 1 minute<"},
        {3600, "for 1 hour<"},
        {90000, "for 25 hours<"},
        {86400, "for 1 day<"},
        {604800, "for 1 week<"},
        {691200, "for 8 days<"},
        {31557600, "for 8766 hours<"},
        {4294967295U, "4294967295 seconds<"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct sts_record_set set = example();
        set.max_age = rows[i].seconds;
        assert_true(shows(&set, rows[i].words));
    }
}

static void pending_is_a_state_too(void **state)
{
    (void)state;
    struct sts_record_set set = example();

    assert_false(shows(&set, "pending"));
    set.id = STS_STR("");
    set.pending = STS_STR("the running server does not serve it yet");
    set.count = 0;
    assert_true(shows(&set, "<span class=\"badge pending\">pending</span>"));
    assert_true(shows(&set, "data-find=\"example.org served pending \""));
    assert_true(shows(&set, "is pending: the running server does not serve it yet</p>"));
    assert_false(shows(&set, "<dt>id</dt>"));
    assert_false(shows(&set, "<ol>"));
}

static void withdrawn_is_to_be_deleted(void **state)
{
    (void)state;
    struct sts_record_set set = example();

    set.withdrawn = true;
    set.state = NULL;
    assert_true(shows(&set, "<span class=\"badge withdrawn\">withdrawn</span>"));
    assert_true(shows(&set, "No tenant any more: delete this record."));
    assert_true(shows(&set, "<h3>Record to delete</h3>"));
    assert_false(shows(&set, "<dt>policy</dt>"));
}

static void each_state_says_what_it_means(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"kept", "the last good policy is served."},
        {"retiring", "Mode none is served until"},
        {"no-certificate", "there is no certificate"},
    };
    struct sts_record_set set = example();

    assert_false(shows(&set, "class=\"note\""));
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        set.state = rows[i][0];
        assert_true(shows(&set, rows[i][1]));
    }
    set.state = set.mode = NULL; /* nothing is known */
    assert_false(shows(&set, "badge"));
    assert_false(shows(&set, "<dt>policy</dt>"));
}

static void steps_have_states_and_dates(void **state)
{
    (void)state;
    const struct sts_step steps[] = {
        {STS_STEP_DONE, "a", AT, STS_STR("Served.")},
        {STS_STEP_DONE, "b", 0, STS_STR("Announced.")},
        {STS_STEP_NOW, "c", AT, STS_STR("Watch.")},
        {STS_STEP_NOW, "d", 0, STS_STR("Look & see.")},
        {STS_STEP_WAIT, "e", AT, STS_STR("Remove.")},
        {STS_STEP_WAIT, "f", 0, STS_STR("Enforce.")},
    };
    struct sts_record_set set = example();
    static const char time[] =
        "<time datetime=\"2025-11-24T16:00:00Z\">2025-11-24 16:00 UTC</time>";
    static const char *const rows[][3] = {
        {"<li class=\"step done\"><b>done ", time, "</b> Served.</li>"},
        {"<li class=\"step done\"><b>done", "", "</b> Announced.</li>"},
        {"<li class=\"step now\"><b>now, since ", time, "</b> Watch.</li>"},
        {"<li class=\"step now\"><b>now", "", "</b> Look &#38; see.</li>"},
        {"<li class=\"step wait\"><b>wait until ", time, "</b> Remove.</li>"},
        {"<li class=\"step wait\"><b>later", "", "</b> Enforce.</li>"},
    };

    assert_false(shows(&set, "<h3>Steps</h3>"));
    set.steps = steps;
    set.step_count = sizeof(steps) / sizeof(*steps);
    for (size_t i = 0; i < set.step_count; i++) {
        struct sts_buf row = {0};
        sts_buf_printf(&row, "%s%s%s", rows[i][0], rows[i][1], rows[i][2]);
        assert_true(shows(&set, row.ptr));
        sts_buf_fini(&row);
    }
}

static void one_page_whatever_the_number(void **state)
{
    (void)state;
    const struct sts_record_set sets[] = {example(), example()};
    static const char *const ends[] = {"<p>0 tenants.", "<p>1 tenant.", "<p>2 tenants."};

    for (size_t count = 0; count < 3; count++) {
        struct sts_buf out = {0};
        const char *page = render(&out, sets, count);
        assert_int_equal(strncmp(page, "<!DOCTYPE html>\n", 16), 0);
        assert_non_null(strstr(page, ends[count]));
        size_t sections = 0;
        for (const char *at = page; (at = strstr(at, "<section ")); at++)
            sections++;
        assert_int_equal(sections, count);
        assert_true(sts_str_ends(sts_buf_str(&out), STS_STR("</html>\n")));
        sts_buf_fini(&out);
    }
}

/* The two files are whole, and cannot end the element that they stand in. */
static void style_and_script_are_inside(void **state)
{
    (void)state;
    struct sts_buf out = {0}, copy = {0};
    const char *page = render(&out, NULL, 0);
    const struct sts_str parts[] = {page_style(), page_script()};

    for (size_t i = 0; i < 2; i++) {
        assert_true(parts[i].len > 1000 && parts[i].ptr[parts[i].len - 1] == '\n');
        sts_buf_add(&copy, parts[i]);
        assert_non_null(strstr(page, copy.ptr));
        assert_null(strstr(copy.ptr, "</"));
        assert_null(strstr(copy.ptr, "<!--"));
        sts_buf_fini(&copy);
    }
    assert_non_null(strstr(page, "content=\"default-src 'none'; style-src 'sha256-"));
    sts_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_escaped),
        cmocka_unit_test(fields_of_a_record),
        cmocka_unit_test(records_of_one_name_and_type_are_numbered),
        cmocka_unit_test(durations_in_words),
        cmocka_unit_test(pending_is_a_state_too),
        cmocka_unit_test(withdrawn_is_to_be_deleted),
        cmocka_unit_test(each_state_says_what_it_means),
        cmocka_unit_test(steps_have_states_and_dates),
        cmocka_unit_test(one_page_whatever_the_number),
        cmocka_unit_test(style_and_script_are_inside),
    };
    return cmocka_run_group_tests_name("html format", tests, NULL, NULL);
}
