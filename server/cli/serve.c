/* serve: the daemon. */
#include "server/cli/command.h"
#include "server/daemon/daemon.h"

enum exit_code command_serve(const struct options *options)
{
    if (options->argument_count) {
        output_error("serve takes no arguments; name the configuration with -c FILE");
        return EXIT_USAGE;
    }
    switch (daemon_run(options->config, options->ready_file)) {
    case DAEMON_STOPPED:
        return EXIT_FINE;
    case DAEMON_REFUSED:
        return EXIT_ERRORS;
    case DAEMON_FAILED:
        break;
    }
    return EXIT_BLIND;
}
