/* mta-stsd: options and dispatch. */
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "server/cli/command.h"

/* Options of all commands; the table of commands says who takes which. */
static const struct {
    const char *name;
    char letter;
    bool is_flag;
    size_t field; /* in struct options: a const char *, or a bool */
} known[] = {
    {"config", 'c', false, offsetof(struct options, config)},
    {"format", 0, false, offsetof(struct options, format)},
    {"ready-file", 0, false, offsetof(struct options, ready_file)},
    {"diff", 0, true, offsetof(struct options, diff)},
    {"txt", 0, true, offsetof(struct options, txt)},
    {"tlsrpt", 0, true, offsetof(struct options, tlsrpt)},
    {"zone", 0, false, offsetof(struct options, zone)},
    {"side", 0, false, offsetof(struct options, side)},
    {"since", 0, false, offsetof(struct options, since)},
    {"check", 0, true, offsetof(struct options, check)},
    {"changed", 0, true, offsetof(struct options, changed)},
    {"relative", 0, true, offsetof(struct options, relative)},
    {"zone-file", 0, false, offsetof(struct options, zone_file)},
    {"domain", 0, false, offsetof(struct options, domain)},
    {"receipt", 0, false, offsetof(struct options, receipt)},
    {"mark-published", 0, false, offsetof(struct options, mark_published)},
};
enum { KNOWN = sizeof(known) / sizeof(*known), FIRST = 256 };

/* The same for getopt_long; an option without a letter is its place in `known`. */
static void make_long_options(struct option out[KNOWN + 2])
{
    for (size_t i = 0; i < KNOWN; i++)
        out[i] = (struct option){known[i].name, known[i].is_flag ? no_argument : required_argument,
                                 NULL, FIRST + (int)i};
    out[KNOWN] = (struct option){"help", no_argument, NULL, 'h'};
    out[KNOWN + 1] = (struct option){NULL, 0, NULL, 0};
}

static const struct command *find_command(const char *name)
{
    for (const struct command *c = commands; c->name; c++)
        if (strcmp(name, c->name) == 0)
            return c;
    return NULL;
}

static enum exit_code unknown_command(const char *name)
{
    const char *names[16] = {NULL};
    size_t count = 0;

    for (const struct command *c = commands; c->name && count < 15; c++)
        names[count++] = c->name;
    const char *near = sts_suggest(sts_str_from(name), names);
    if (near)
        output_error("unknown command \"%s\"; did you mean %s?", name, near);
    else
        output_error("unknown command \"%s\"; see mta-stsd help", name);
    return EXIT_USAGE;
}

static bool main_takes(const struct command *command, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = command->options; (at = strstr(at, name)); at += len)
        if (at[len] == ' ' && (at == command->options || at[-1] == ' '))
            return true;
    return false;
}

static enum exit_code command_usage(const struct command *command)
{
    fprintf(stderr, "usage: mta-stsd %s %s\n", command->name, command->synopsis);
    return EXIT_USAGE;
}

/* The place in `known` of what getopt_long returned. */
static size_t find_option(int option)
{
    for (size_t i = 0; option < FIRST && i < KNOWN; i++)
        if (known[i].letter == option)
            return i;
    return (size_t)(option - FIRST);
}

static void main_set_option(struct options *options, size_t place)
{
    char *field = (char *)options + known[place].field;

    if (known[place].is_flag)
        *(bool *)field = true;
    else
        *(const char **)field = optarg;
}

static enum exit_code main_run(const struct command *command, int argc, char **argv)
{
    struct options options = {.config = CONFIG_STANDARD};
    struct option long_options[KNOWN + 2];
    int option;

    make_long_options(long_options);
    while ((option = getopt_long(argc, argv, "c:h", long_options, NULL)) != -1) {
        if (option == 'h') {
            printf("usage: mta-stsd %s %s\n\n%s\n", command->name, command->synopsis,
                   command->summary);
            return EXIT_FINE;
        }
        if (option == '?')
            return command_usage(command);
        size_t place = find_option(option);
        if (!main_takes(command, known[place].name)) {
            output_error("%s does not take --%s", command->name, known[place].name);
            return command_usage(command);
        }
        main_set_option(&options, place);
    }
    options.arguments = argv + optind;
    options.argument_count = (size_t)(argc - optind);
    return command->run(&options);
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        static char *none[] = {NULL};
        command_help(&(struct options){.arguments = none});
        return argc < 2 ? EXIT_USAGE : EXIT_FINE;
    }
    const char *name = strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
    const struct command *command = find_command(name);
    return command ? (int)main_run(command, argc - 1, argv + 1) : (int)unknown_command(name);
}
