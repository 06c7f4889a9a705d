/* Configuration that serves the tree as senders want it (RFC 8461 §3.2, §3.3): status 200, type
 * text/plain, the very bytes, no redirect, nothing for anybody else. Written for the versions in
 * Debian 12 (nginx 1.22, Caddy 2.6, HAProxy 2.6). */
#include <stdlib.h>
#include <string.h>

#include "server/cli/export.h"

#define PATH "/" EXPORT_WELL_KNOWN "/" EXPORT_FILE

bool export_dir_check(struct sts_str dir)
{
    /* No blank, quote, variable, wildcard, comment or escape of any of the three. */
    const struct sts_str others = STS_STR("/._-+,:@=");

    for (size_t i = 0; i < dir.len; i++)
        if (!sts_is_alnum(dir.ptr[i]) && sts_str_find(others, dir.ptr[i], 0) == others.len)
            return false;
    return dir.len > 1 && dir.ptr[0] == '/' && dir.ptr[dir.len - 1] != '/';
}

/* One server for all tenants, however many: a host has a directory, or it gets 404. Certificates
 * are read when a client comes, so that a missing one hurts its tenant alone. */
static void render_nginx(struct sts_buf *out, const struct export_list *list, struct sts_str dir)
{
    (void)list;
    sts_buf_printf(
        out,
        "# MTA-STS policies for nginx 1.15.9 or later; inside http { }:\n"
        "#     include %.*s/nginx.conf;\n"
        "# nginx's workers read the certificates, so their user must be able to. A name for which\n"
        "# there is none gets no TLS connection (RFC 8461 section 7.1).\n"
        "map $ssl_server_name $mta_sts_certificate {\n"
        "    default none;\n"
        "    \"~^mta-sts\\.[a-z0-9.-]+$\" $ssl_server_name;\n"
        "}\n"
        "server {\n"
        "    listen 443 ssl;\n"
        "    listen [::]:443 ssl;\n"
        "    server_name \"~^(?<mta_sts_host>mta-sts\\.[a-z0-9.-]+)$\";\n"
        "    ssl_certificate /etc/letsencrypt/live/$mta_sts_certificate/fullchain.pem;\n"
        "    ssl_certificate_key /etc/letsencrypt/live/$mta_sts_certificate/privkey.pem;\n"
        "    ssl_protocols TLSv1.2 TLSv1.3;\n"
        "    location = " PATH " {\n"
        "        root %.*s/$mta_sts_host;\n"
        "        types { }\n"
        "        default_type text/plain;\n"
        "        charset off;\n"
        "        gzip off;\n"
        "        etag off;\n"
        "        if_modified_since off;\n"
        "        max_ranges 0;\n"
        "    }\n"
        "    location / {\n"
        "        return 404;\n"
        "    }\n"
        "}\n",
        STS_ARG(dir), STS_ARG(dir));
}

/* A site a tenant: Caddy gets the certificate of each name that it is told. */
static void render_caddy(struct sts_buf *out, const struct export_list *list, struct sts_str dir)
{
    sts_buf_printf(out,
                   "# MTA-STS policies for Caddy 2; in your Caddyfile, below its global options:\n"
                   "#     import %.*s/Caddyfile\n"
                   "# and among those, so that a connection is for one host alone: servers { "
                   "strict_sni_host on }.\n"
                   "# Caddy gets a certificate for each host by itself. Its redirects from port 80 "
                   "do no harm:\n"
                   "# senders use HTTPS alone.\n"
                   "(mta-sts-policy) {\n"
                   "    root * %.*s/{args.0}\n"
                   "    @policy {\n"
                   "        path " PATH "\n"
                   "        method GET HEAD\n"
                   "    }\n"
                   "    handle @policy {\n"
                   "        request_header -If-None-Match\n"
                   "        request_header -If-Modified-Since\n"
                   "        request_header -Range\n"
                   "        header Content-Type text/plain\n"
                   "        file_server\n"
                   "    }\n"
                   "    handle {\n"
                   "        respond 404\n"
                   "    }\n"
                   "}\n",
                   STS_ARG(dir), STS_ARG(dir));
    for (size_t i = 0; i < list->count; i++)
        sts_buf_printf(out, "mta-sts.%.*s {\n    import mta-sts-policy mta-sts.%.*s\n}\n",
                       STS_ARG(list->entries[i].domain), STS_ARG(list->entries[i].domain));
}

static int export_snippets_by_digest(const void *a, const void *b)
{
    const struct export_entry *x = *(const struct export_entry *const *)a,
                              *y = *(const struct export_entry *const *)b;
    int order = strcmp(x->digest, y->digest);
    return order ? order : sts_str_cmp(x->domain, y->domain);
}

/* HAProxy reads files at its start only, and escapes line ends in what it makes up at run time. So
 * each distinct policy is one rule with a file, and a map says which host has which policy. */
static void render_haproxy(struct sts_buf *out, const struct export_list *list, struct sts_str dir)
{
    const struct export_entry **order = calloc(list->count + 1, sizeof(struct export_entry *));

    if (!order)
        abort();
    sts_buf_printf(
        out,
        "# MTA-STS policies for HAProxy 2.2 or later, beside your own configuration (whose "
        "defaults\n"
        "# section has the timeouts). Reload HAProxy after each export: it reads files then.\n"
        "#     haproxy -f /etc/haproxy/haproxy.cfg -f %.*s/haproxy.cfg\n"
        "# Below /etc/haproxy/certs: one file a host, with its chain and key. A name for which "
        "there\n"
        "# is none gets no TLS connection (RFC 8461 section 7.1).\n"
        "frontend mta-sts\n"
        "    mode http\n"
        "    bind :::443 v4v6 ssl crt /etc/haproxy/certs/ strict-sni ssl-min-ver TLSv1.2\n"
        "    http-request set-var(txn.policy) "
        "req.hdr(host),field(1,:),lower,map_str(%.*s/haproxy.map)\n"
        "    http-request return status 404 if !{ path " PATH " }\n"
        "    http-request return status 405 hdr Allow \"GET, HEAD\" if !METH_GET\n",
        STS_ARG(dir), STS_ARG(dir));
    for (size_t i = 0; i < list->count; i++)
        order[i] = &list->entries[i];
    qsort(order, list->count, sizeof(struct export_entry *), export_snippets_by_digest);
    for (size_t i = 0; i < list->count; i++)
        if (i == 0 || strcmp(order[i]->digest, order[i - 1]->digest) != 0)
            sts_buf_printf(out,
                           "    http-request return status 200 content-type text/plain "
                           "file %.*s/mta-sts.%.*s" PATH " if { var(txn.policy) -m str %s }\n",
                           STS_ARG(dir), STS_ARG(order[i]->domain), order[i]->digest);
    sts_buf_add_cstr(out, "    http-request return status 404\n");
    free(order);
}

static void render_haproxy_map(struct sts_buf *out, const struct export_list *list,
                               struct sts_str dir)
{
    (void)dir;
    for (size_t i = 0; i < list->count; i++)
        sts_buf_printf(out, "mta-sts.%.*s %s\n", STS_ARG(list->entries[i].domain),
                       list->entries[i].digest);
}

const struct export_snippet export_snippets[] = {
    {"nginx", "nginx.conf", render_nginx},
    {"caddy", "Caddyfile", render_caddy},
    {"haproxy", "haproxy.cfg", render_haproxy},
    {NULL, "haproxy.map", render_haproxy_map},
    {NULL, NULL, NULL},
};
