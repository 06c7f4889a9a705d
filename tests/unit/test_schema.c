/* The list of keys against what is made of it: defaults, the example file, the manual. The program
 * runs in the top directory. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mtasts/config.h"
#include "server/config/yaml_tree.h"

static const char example_file[] = "config/mta-stsd.yaml";
static const char manual_file[] = "packaging/man/mta-stsd.yaml.5";

static struct sts_buf read_file(const char *path)
{
    struct sts_buf text = {0};
    char chunk[4096];
    size_t got;
    FILE *file = fopen(path, "r");

    if (!file)
        fail_msg("cannot open %s: run the tests in the top directory", path);
    while ((got = fread(chunk, 1, sizeof(chunk), file)) > 0)
        sts_buf_add(&text, (struct sts_str){chunk, got});
    fclose(file);
    return text;
}

static bool known(const char *path)
{
    for (const struct sts_key *key = sts_keys; key->path; key++)
        if (strcmp(key->path, path) == 0)
            return true;
    return false;
}

static void rows_are_complete(void **state)
{
    (void)state;
    for (const struct sts_key *key = sts_keys; key->path; key++) {
        assert_true(strlen(key->type) > 0);
        assert_true(strlen(key->help) > 0);
        assert_non_null(key->standard);
        assert_true(key->help[strlen(key->help) - 1] != '.');
        for (const struct sts_key *other = sts_keys; other != key; other++)
            assert_string_not_equal(key->path, other->path);
        /* The map that a key is in is a key, too. */
        char parent[64];
        snprintf(parent, sizeof(parent), "%s", key->path);
        char *dot = strrchr(parent, '.');
        if (dot) {
            *dot = '\0';
            if (dot > parent + 1 && strcmp(dot - 2, ".*") == 0)
                dot[-2] = '\0';
            assert_true(known(parent));
        }
    }
}

static bool same_str(struct sts_str a, struct sts_str b)
{
    return sts_str_eq(a, b);
}

static void assert_same_settings(const struct sts_settings *a, const struct sts_settings *b)
{
    assert_int_equal(a->listen_count, b->listen_count);
    for (size_t i = 0; i < a->listen_count; i++) {
        assert_true(same_str(a->listen[i].address, b->listen[i].address));
        assert_true(same_str(a->listen[i].host, b->listen[i].host));
        assert_int_equal(a->listen[i].port, b->listen[i].port);
        assert_int_equal(a->listen[i].is_unix, b->listen[i].is_unix);
        assert_int_equal(a->listen[i].tls, b->listen[i].tls);
        assert_int_equal(a->listen[i].proxy_protocol, b->listen[i].proxy_protocol);
    }
    assert_int_equal(a->certificate_count, b->certificate_count);
    assert_int_equal(a->include_count, b->include_count);
    assert_true(same_str(a->ledger.path, b->ledger.path));
    assert_int_equal(a->tls_report_count, b->tls_report_count);
    assert_true(same_str(a->policy_host, b->policy_host));
    assert_int_equal(a->address_count, b->address_count);
    assert_int_equal(a->ttl, b->ttl);
    assert_int_equal(a->ttl_host + a->ttl_id + a->ttl_tls_reports + a->ttl_caa,
                     b->ttl_host + b->ttl_id + b->ttl_tls_reports + b->ttl_caa);
    assert_true(same_str(a->delegation_zone, b->delegation_zone));
    assert_int_equal(a->caa_count, b->caa_count);
    assert_int_equal(a->strict, b->strict);
    assert_int_equal(a->workers, b->workers);
    assert_int_equal(a->max_connections, b->max_connections);
    assert_int_equal(a->max_connections_per_ip, b->max_connections_per_ip);
    assert_int_equal(a->certificate_cache, b->certificate_cache);
    assert_int_equal(a->handshake_timeout, b->handshake_timeout);
    assert_int_equal(a->request_timeout, b->request_timeout);
    assert_int_equal(a->idle_timeout, b->idle_timeout);
    assert_int_equal(a->lifetime, b->lifetime);
    assert_int_equal(a->shutdown_timeout, b->shutdown_timeout);
    assert_int_equal(a->access_log, b->access_log);
    assert_int_equal(a->settle, b->settle);
    assert_int_equal(a->settle_limit, b->settle_limit);
    assert_int_equal(a->rescan, b->rescan);
    assert_int_equal(a->on_change_count, b->on_change_count);
    assert_int_equal(a->on_change_timeout, b->on_change_timeout);
}

/* Writing every default of the table gives what writing nothing gives. */
static void defaults_are_those_of_the_table(void **state)
{
    struct sts_buf text = {0};
    const char *section = "";

    (void)state;
    for (const struct sts_key *key = sts_keys; key->path; key++) {
        if (!*key->standard || strchr(key->path, '*'))
            continue;
        const char *dot = strchr(key->path, '.');
        if (dot && strncmp(section, key->path, (size_t)(dot - key->path)) != 0)
            sts_buf_printf(&text, "%.*s:\n", (int)(dot - key->path), key->path);
        section = key->path;
        sts_buf_printf(&text, "%s%s: %s\n", dot ? "  " : "", dot ? dot + 1 : key->path,
                       key->standard);
    }
    struct sts_source *nothing =
        sts_source_parse(STS_STR("tenants: {}\n"), STS_STR("nothing"), true);
    struct sts_source *all = sts_source_parse(sts_buf_str(&text), STS_STR("all"), true);
    assert_int_equal(nothing->diags.errors + all->diags.errors, 0);
    assert_same_settings(&nothing->settings, &all->settings);
    sts_source_unref(nothing);
    sts_source_unref(all);
    sts_buf_fini(&text);
}

static const char *standard_of(const char *path)
{
    for (const struct sts_key *key = sts_keys; key->path; key++)
        if (strcmp(key->path, path) == 0)
            return key->standard;
    return NULL;
}

static void defaults_below_lists_and_maps(void **state)
{
    struct sts_source *source =
        sts_source_parse(STS_STR("listen: [{address: \"127.0.0.1:0\"}]\n"
                                 "tenants: {example.org: {mode: enforce, mx: mx.example.org}}\n"),
                         STS_STR("f"), true);
    struct sts_policy policy;
    uint32_t standard;

    (void)state;
    assert_int_equal(source->settings.listen[0].tls,
                     strcmp(standard_of("listen.*.tls"), "on") == 0);
    assert_int_equal(source->settings.listen[0].proxy_protocol,
                     strcmp(standard_of("listen.*.proxy_protocol"), "on") == 0);
    assert_true(sts_tenant_resolve(source, &source->tenants[0], NULL, &source->settings,
                                   &source->diags, &policy));
    assert_true(sts_duration_parse(sts_str_from(standard_of("tenants.*.max_age")), &standard));
    assert_int_equal(policy.max_age, standard);
    assert_string_equal(standard_of("tenants.*.max_age"), standard_of("policies.*.max_age"));
    sts_source_unref(source);
}

/* Marks the keys of `map` whose rows begin with `prefix`. */
static void mark(const struct yaml_node *node, const char *prefix, bool *seen)
{
    char path[128];

    if (node->kind == YAML_LIST)
        for (size_t i = 0; i < node->count; i++) {
            snprintf(path, sizeof(path), "%s.*", prefix);
            mark(&node->items[i], path, seen);
        }
    for (size_t i = 0; node->kind == YAML_MAP && i < node->count; i++) {
        snprintf(path, sizeof(path), "%s%s%.*s", prefix, *prefix ? "." : "",
                 STS_ARG(node->pairs[i].key));
        if (strcmp(prefix, "policies") == 0 || strcmp(prefix, "tenants") == 0)
            snprintf(path, sizeof(path), "%s.*", prefix);
        for (size_t k = 0; sts_keys[k].path; k++)
            seen[k] |= strcmp(sts_keys[k].path, path) == 0;
        mark(&node->items[i], path, seen);
    }
}

/* What cannot stand beside another key stands in a comment. */
static bool in_a_comment(const char *text, const char *name)
{
    char key[80];

    snprintf(key, sizeof(key), "%s: ", name);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += strspn(line, "\n ");
        const char *found = *line == '#' ? strstr(line, key) : NULL;
        if (found && found < line + strcspn(line, "\n"))
            return true;
    }
    return false;
}

static void example_has_every_key(void **state)
{
    struct sts_buf text = read_file(example_file);
    struct sts_source *source =
        sts_source_parse(sts_buf_str(&text), sts_str_from(example_file), true);
    bool seen[128] = {false};

    (void)state;
    assert_int_equal(source->diags.errors + source->diags.warnings, 0);
    assert_false(source->broken);
    const struct yaml_node *root = yaml_tree_parse(source->arena, sts_buf_str(&text),
                                                   sts_str_from(example_file), &source->diags);
    assert_non_null(root);
    mark(root, "", seen);
    sts_buf_add(&text, (struct sts_str){"", 1});
    for (size_t k = 0; sts_keys[k].path; k++) {
        const char *dot = strrchr(sts_keys[k].path, '.');
        const char *name = dot ? dot + 1 : sts_keys[k].path;
        if (!seen[k] && !in_a_comment(text.ptr, name))
            fail_msg("%s does not have %s", example_file, sts_keys[k].path);
    }
    sts_source_unref(source);
    sts_buf_fini(&text);
}

/* The other examples are right as they stand; a tenant in five lines is promised. */
static void examples_are_right(void **state)
{
    static const struct {
        const char *path;
        bool is_main;
        size_t tenants;
    } files[] = {{"config/minimal.yaml", true, 1},
                 {"config/tenants.d/example.net.yaml", false, 1},
                 {"config/tenants.d/customers.yaml", false, 2}};

    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        struct sts_buf text = read_file(files[i].path);
        struct sts_source *source =
            sts_source_parse(sts_buf_str(&text), sts_str_from(files[i].path), files[i].is_main);
        assert_int_equal(source->diags.errors + source->diags.warnings, 0);
        assert_int_equal(source->tenant_count, files[i].tenants);
        if (i == 0) {
            size_t lines = 0;
            for (size_t j = 0; j < text.len; j++)
                lines += text.ptr[j] == '\n';
            assert_int_equal(lines, 5);
        }
        sts_source_unref(source);
        sts_buf_fini(&text);
    }
}

/* Every row has an entry ".It Ic PATH : ..." in the manual with its default, and the reverse. */
static void manual_has_every_key(void **state)
{
    struct sts_buf text = read_file(manual_file);
    struct sts_buf entry = {0};

    (void)state;
    sts_buf_add(&text, (struct sts_str){"", 1});
    for (const struct sts_key *key = sts_keys; key->path; key++) {
        entry.len = 0;
        sts_buf_printf(&entry, "\n.It Ic %s : ", key->path);
        sts_buf_add(&entry, (struct sts_str){"", 1});
        const char *found = strstr(text.ptr, entry.ptr);
        if (!found)
            fail_msg("%s does not have %s", manual_file, key->path);
        const char *end = strstr(found + 1, "\n.It Ic ");
        const char *standard = strstr(found, "Default:");
        if (*key->standard && (!standard || (end && standard > end)))
            fail_msg("%s does not tell the default of %s", manual_file, key->path);
        /* Lists and quotes look different in mdoc; plain words must stand there. */
        if (*key->standard && !strchr(key->standard, '"')) {
            const char *value = strstr(standard, key->standard);
            if (!value || (end && value > end))
                fail_msg("%s: the default of %s is %s", manual_file, key->path, key->standard);
        }
    }
    for (const char *at = text.ptr; (at = strstr(at, "\n.It Ic ")); at++) {
        char path[64] = "";
        assert_int_equal(sscanf(at, "\n.It Ic %63s", path), 1);
        if (!known(path))
            fail_msg("%s has %s, which is no key", manual_file, path);
    }
    sts_buf_fini(&entry);
    sts_buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_complete),
        cmocka_unit_test(defaults_are_those_of_the_table),
        cmocka_unit_test(defaults_below_lists_and_maps),
        cmocka_unit_test(example_has_every_key),
        cmocka_unit_test(examples_are_right),
        cmocka_unit_test(manual_has_every_key),
    };
    return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
