/* The command table, usage, and help. */
#include "server/cli/command.h"

#include <string.h>

#include "mtasts/config.h"
#include "mtasts/policy.h"
#include "mtasts/record.h"

const struct command commands[] = {
    {"serve", "[-c FILE] [--ready-file FILE]", "serve the policies until SIGTERM",
     "config ready-file ", command_serve},
    {"check", "[-c FILE] [--diff] [--format text|json]",
     "judge configuration and certificates as serve would, and say what a reload would change",
     "config diff format ", command_check},
    {"lint", "[--txt|--tlsrpt] FILE|-", "judge a policy or TXT value from anywhere", "txt tlsrpt ",
     command_lint},
    {"records",
     "[-c FILE] [--format NAME] [--zone ZONE] [--side tenant|provider] [--relative] "
     "[--changed] [--since DATE] [--check] [--receipt FILE] [--mark-published FILE] [TENANT...]",
     "print the DNS records, ids included; or (--check) what cannot be announced yet, and why",
     "config format zone side relative changed since check receipt mark-published ",
     command_records},
    {"plan", "[-c FILE] [--format text|json] TENANT...",
     "say what to do next for a tenant, and from when on it is safe", "config format ",
     command_plan},
    {"log", "[-c FILE] [--format text|json] [TENANT...]",
     "list the policies that were served, and what each changed", "config format ", command_log},
    {"status", "[-c FILE] [--format text|json] [TENANT...]",
     "ask the running server what it serves, and what is wrong", "config format ", command_status},
    {"export", "[-c FILE] [--format files|nginx|caddy|haproxy|starttls-everywhere] [DIR]",
     "write the policies as files for another web server, with its configuration", "config format ",
     command_export},
    {"import", "[--zone-file FILE] [--domain DOMAIN] FILE|DIR...",
     "print existing policies as tenants in YAML, and say what was corrected", "zone-file domain ",
     command_import},
    {"version", "", "print the version, and those of the libraries", "", command_version},
    {"help", "[config|lints|formats|completion]", "print this, or a reference", "", command_help},
    {NULL, NULL, NULL, NULL, NULL},
};

static void command_print_usage(struct sts_buf *out)
{
    sts_buf_add_cstr(out, "usage: mta-stsd COMMAND [OPTION...]\n\n");
    for (const struct command *c = commands; c->name; c++)
        sts_buf_printf(out, "  %-8s %s\n           %s\n", c->name, c->synopsis, c->summary);
    sts_buf_add_cstr(out, "\nThe configuration is " CONFIG_STANDARD " unless -c says otherwise.\n"
                          "Exit codes: 0 fine, 1 errors found or somebody must act, 2 wrong usage, "
                          "3 could not look.\n"
                          "Manual: man mta-stsd, man mta-stsd.yaml\n");
}

static void config_reference(struct sts_buf *out)
{
    for (const struct sts_key *key = sts_keys; key->path; key++)
        sts_buf_printf(out, "%s: %s%s%s%s\n    %s\n", key->path, key->type,
                       *key->standard ? " (default " : "", key->standard, *key->standard ? ")" : "",
                       key->help);
}

static void lint_reference(struct sts_buf *out)
{
    for (const struct sts_lint *lint = sts_lints; lint->code; lint++)
        sts_buf_printf(out, "%s (%s): %s\n    hurts: %s\n    help: %s\n", lint->code,
                       sts_severity_name(lint->severity), lint->why, lint->hurts, lint->fix);
}

static void format_reference(struct sts_buf *out)
{
    for (const struct sts_record_format *f = sts_record_formats; f->name; f++)
        sts_buf_printf(out, "%s: %s\n", f->name, f->description);
}

static const struct {
    const char *name;
    void (*print)(struct sts_buf *out);
} topics[] = {{"config", config_reference},
              {"lints", lint_reference},
              {"formats", format_reference},
              {"completion", completion_reference}};

enum exit_code command_help(const struct options *options)
{
    void (*print)(struct sts_buf *) = command_print_usage;
    struct sts_buf out = {0};

    if (options->argument_count) {
        print = NULL;
        for (size_t i = 0; i < sizeof(topics) / sizeof(*topics); i++)
            if (strcmp(options->arguments[0], topics[i].name) == 0)
                print = topics[i].print;
    }
    if (!print || options->argument_count > 1) {
        output_error("help takes one of config, lints, formats, completion; the options of a "
                     "command: mta-stsd COMMAND --help");
        return EXIT_USAGE;
    }
    print(&out);
    bool good = output_write(sts_buf_str(&out));
    sts_buf_fini(&out);
    return good ? EXIT_FINE : EXIT_BLIND;
}
