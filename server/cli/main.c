/* mta-stsd: options and dispatch. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "server/cli/command.h"

enum { OPTION_FORMAT = 256, OPTION_READY_FILE, OPTION_TXT, OPTION_TLSRPT, OPTION_DIFF };

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"format", required_argument, NULL, OPTION_FORMAT},
    {"ready-file", required_argument, NULL, OPTION_READY_FILE},
    {"diff", no_argument, NULL, OPTION_DIFF},
    {"txt", no_argument, NULL, OPTION_TXT},
    {"tlsrpt", no_argument, NULL, OPTION_TLSRPT},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

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

static bool takes(const struct command *command, int option)
{
    for (const struct option *o = long_options; o->name; o++) {
        const char *found = strstr(command->options, o->name);
        if (o->val == option)
            return found && found[strlen(o->name)] == ' ';
    }
    return false;
}

static enum exit_code command_usage(const struct command *command)
{
    fprintf(stderr, "usage: mta-stsd %s %s\n", command->name, command->synopsis);
    return EXIT_USAGE;
}

static void set_option(struct options *options, int option)
{
    switch (option) {
    case 'c':
        options->config = optarg;
        break;
    case OPTION_FORMAT:
        options->format = optarg;
        break;
    case OPTION_READY_FILE:
        options->ready_file = optarg;
        break;
    case OPTION_DIFF:
        options->diff = true;
        break;
    case OPTION_TXT:
        options->txt = true;
        break;
    case OPTION_TLSRPT:
        options->tlsrpt = true;
        break;
    default:
        break;
    }
}

static enum exit_code run(const struct command *command, int argc, char **argv)
{
    struct options options = {.config = CONFIG_STANDARD};
    int option;

    while ((option = getopt_long(argc, argv, "c:h", long_options, NULL)) != -1) {
        if (option == 'h') {
            printf("usage: mta-stsd %s %s\n\n%s\n", command->name, command->synopsis,
                   command->summary);
            return EXIT_FINE;
        }
        if (option == '?')
            return command_usage(command);
        if (!takes(command, option)) {
            output_error("%s does not take this option", command->name);
            return command_usage(command);
        }
        set_option(&options, option);
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
    return command ? (int)run(command, argc - 1, argv + 1) : (int)unknown_command(name);
}
