/* The rules of the two TXT records, one row a rule and case: T1 to T10 (RFC 8461 §3.1), R1 to R8
 * (RFC 8460 §3). Places and wording have tests of their own. */
#include "tests/unit/test.h"

#include <string.h>

#include "mtasts/record.h"

enum kind { STS, TLSRPT };

struct rule {
    const char *name;
    enum kind kind;
    const char *value;
    bool accepted;
};

#define ID32 "0123456789abcdefABCDEF0123456789"
#define OK   "v=TLSRPTv1; rua=mailto:a@example.org"

static const struct rule rules[] = {
    {"T1 version first", STS, "v=STSv1; id=1;", true},
    {"T1 last semicolon is optional", STS, "v=STSv1; id=1", true},
    {"T1 id first", STS, "id=1; v=STSv1;", false},
    {"T1 version in lower case", STS, "v=stsv1; id=1;", false},
    {"T1 not ASCII", STS, "v=STSv1; id=1; x=\xc3\xa9;", false},
    {"T1 no field", STS, "v=STSv1;", false},
    {"T1 empty", STS, "", false},
    {"T2 no space behind the semicolon", STS, "v=STSv1;id=1;", true},
    {"T2 tab behind the semicolon", STS, "v=STSv1;\tid=1;", true},
    {"T2 space before the first semicolon", STS, "v=STSv1 ; id=1;", false},
    {"T2 space before a later semicolon", STS, "v=STSv1; id=1 ; x=y;", true},
    {"T3 space before the equals sign", STS, "v=STSv1; id =1;", false},
    {"T3 space behind the equals sign", STS, "v=STSv1; id= 1;", false},
    {"T3 space in front", STS, " v=STSv1; id=1;", false},
    {"T3 space at the end", STS, "v=STSv1; id=1 ", false},
    {"T4 32 characters", STS, "v=STSv1; id=" ID32 ";", true},
    {"T4 33 characters", STS, "v=STSv1; id=" ID32 "x;", false},
    {"T4 empty id", STS, "v=STSv1; id=;", false},
    {"T4 hyphen", STS, "v=STSv1; id=2026-11-23;", false},
    {"T4 colon", STS, "v=STSv1; id=20261123T10:00;", false},
    {"T4 underscore", STS, "v=STSv1; id=a_b;", false},
    {"T4 base64", STS, "v=STSv1; id=YWJj=;", false},
    {"T4 upper-case name", STS, "v=STSv1; ID=1;", false},
    {"T6 extension", STS, "v=STSv1; id=1; note.x-1_y=a:b/c;", true},
    {"T6 extension name too long", STS, "v=STSv1; id=1; " ID32 "x=y;", false},
    {"T6 extension value empty", STS, "v=STSv1; id=1; x=;", false},
    {"T6 extension value with a space", STS, "v=STSv1; id=1; x=a b;", false},
    {"T7 id behind another field", STS, "v=STSv1; x=y; id=1;", true},
    {"T7 repeated id, the first counts", STS, "v=STSv1; id=1; id=2;", true},
    {"T9 more than one string", STS, "v=STSv1; id=1; x=" ID32 ID32 ID32 ID32 ID32 ID32 ID32 ID32,
     true},
    {"T10 keyword in capitals", STS, "V=STSv1; id=1;", false},
    {"T10 line break", STS, "v=STSv1; id=1;\nid=2;", false},
    {"R1 version and rua", TLSRPT, OK, true},
    {"R1 version in lower case", TLSRPT, "v=tlsrptv1; rua=mailto:a@example.org", false},
    {"R1 space before the first semicolon", TLSRPT, "v=TLSRPTv1 ; rua=mailto:a@example.org", false},
    {"R2 no rua", TLSRPT, "v=TLSRPTv1; x=y", false},
    {"R2 two URIs", TLSRPT, OK ",https://r.example.org/v1", true},
    {"R2 space around the comma", TLSRPT, OK " , https://r.example.org/v1", true},
    {"R2 empty rua", TLSRPT, "v=TLSRPTv1; rua=", false},
    {"R2 comma at the end", TLSRPT, OK ",", false},
    {"R3 http", TLSRPT, "v=TLSRPTv1; rua=http://r.example.org/", false},
    {"R3 no scheme", TLSRPT, "v=TLSRPTv1; rua=a@example.org", false},
    {"R4 size suffix", TLSRPT, OK "!10m", false},
    {"R4 percent-encoded", TLSRPT, "v=TLSRPTv1; rua=mailto:a%2Cb@example.org", true},
    {"R4 percent without digits", TLSRPT, "v=TLSRPTv1; rua=mailto:a%zz@example.org", false},
    {"R5 repeated rua, the first counts", TLSRPT, OK "; rua=mailto:b@example.org", true},
    {"R6 unknown field", TLSRPT, OK "; x=y", true},
    {"R8 the safest form", TLSRPT, "v=TLSRPTv1; rua=mailto:a@d.example,https://h.example/p", true},
};

static bool accepts(const struct rule *rule, struct sts_arena *arena, struct sts_diags *diags,
                    struct sts_str *id)
{
    struct sts_str value = sts_str_from(rule->value);
    struct sts_tlsrpt tlsrpt;

    if (rule->kind == STS)
        return sts_txt_parse(arena, value, STS_STR("-"), diags, id);
    return sts_tlsrpt_parse(arena, value, STS_STR("-"), diags, &tlsrpt);
}

static void every_rule_holds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
        struct sts_arena *arena = sts_arena_new();
        struct sts_diags diags;
        struct sts_str id;
        sts_diags_init(&diags, arena);
        bool accepted = accepts(&rules[i], arena, &diags, &id);
        if (accepted != rules[i].accepted || accepted != (diags.errors == 0))
            fail_msg("%s: %s", rules[i].name, accepted ? "accepted" : "refused");
        sts_arena_free(arena);
    }
}

/* T5, T7: an id is compared, never ordered, and the first of several counts. */
static void the_first_id_is_returned(void **state)
{
    (void)state;
    struct sts_arena *arena = sts_arena_new();
    struct sts_diags diags;
    struct sts_str id;
    sts_diags_init(&diags, arena);
    assert_true(sts_txt_parse(arena, STS_STR("v=STSv1; id=9Z; id=1"), STS_STR("-"), &diags, &id));
    assert_true(sts_str_is(id, "9Z"));
    assert_int_equal(diags.errors, 0);
    assert_true(diags.warnings > 0);
    sts_arena_free(arena);
}

/* T8, R1: of all records at the name, those that begin with the prefix, and exactly one of them. */
static void exactly_one_record_is_selected(void **state)
{
    (void)state;
    struct sts_arena *arena = sts_arena_new();
    struct sts_diags diags;
    struct sts_pos nowhere = {0};
    size_t index = 99;
    const struct sts_str values[] = {STS_STR("v=spf1 -all"), STS_STR("v=STSv1 ; id=1;"),
                                     STS_STR("v=STSv1; id=2;"), STS_STR("v=STSv1; id=3;")};
    sts_diags_init(&diags, arena);
    assert_true(sts_txt_select(values, 3, STS_STR("v=STSv1;"), nowhere, &diags, &index));
    assert_int_equal(index, 2);
    assert_false(sts_txt_select(values, 2, STS_STR("v=STSv1;"), nowhere, &diags, &index));
    assert_false(sts_txt_select(values, 4, STS_STR("v=STSv1;"), nowhere, &diags, &index));
    assert_int_equal(diags.errors, 2);
    assert_int_equal(index, 2); /* written only on success */
    sts_arena_free(arena);
}

/* What we render we accept, without a warning. */
static void rendered_forms_are_accepted(void **state)
{
    (void)state;
    struct sts_arena *arena = sts_arena_new();
    struct sts_buf txt = {0}, report = {0};
    struct sts_diags diags;
    struct sts_str id;
    struct sts_tlsrpt tlsrpt;
    const struct sts_str rua[] = {STS_STR("mailto:a@example.org"), STS_STR("https://h.example/p")};

    sts_diags_init(&diags, arena);
    sts_txt_render(&txt, STS_STR("20261123100000df45f7eeZ"));
    sts_tlsrpt_render(&report, rua, 2);
    assert_true(sts_txt_parse(arena, sts_buf_str(&txt), STS_STR("-"), &diags, &id));
    assert_true(sts_tlsrpt_parse(arena, sts_buf_str(&report), STS_STR("-"), &diags, &tlsrpt));
    assert_int_equal(tlsrpt.rua_count, 2);
    assert_null(diags.first);
    assert_string_equal(txt.ptr, "v=STSv1; id=20261123100000df45f7eeZ;");
    sts_buf_fini(&txt);
    sts_buf_fini(&report);
    sts_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_holds),
        cmocka_unit_test(the_first_id_is_returned),
        cmocka_unit_test(exactly_one_record_is_selected),
        cmocka_unit_test(rendered_forms_are_accepted),
    };
    return cmocka_run_group_tests_name("dns rules", tests, NULL, NULL);
}
