#include <jansson.h>
#include <ldns/ldns.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <yaml.h>

#include "server/cli/command.h"

enum exit_code command_version(const struct options *options)
{
    struct sts_buf out = {0};

    if (options->argument_count) {
        output_error("version takes no arguments");
        return EXIT_USAGE;
    }
    sts_buf_printf(&out, "mta-stsd %s\n%s\nSQLite %s\nlibyaml %s\njansson %s\nldns %s\n",
                   MTA_STSD_VERSION, OpenSSL_version(OPENSSL_VERSION), sqlite3_libversion(),
                   yaml_get_version_string(), jansson_version_str(), ldns_version());
    bool good = output_write(sts_buf_str(&out));
    sts_buf_fini(&out);
    return good ? EXIT_FINE : EXIT_BLIND;
}
