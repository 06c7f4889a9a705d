/* What does not fit together in the main file, although each value alone is right. */
#include "server/config/bind_settings.h"

static void check_settings_warn(struct binder *b, const struct yaml_node *root, const char *section,
                                const char *code, const char *message, const char *help)
{
    const struct yaml_node *node = yaml_tree_get(root, section);
    struct sts_pos where = node ? node->where : (struct sts_pos){b->source->name, 1, 1};
    struct sts_diag *diag = sts_diag_add(b->diags, STS_WARNING, code, where, "%s", message);

    sts_diag_help(b->diags, diag, "%s", help);
}

static bool check_settings_any_tls(const struct sts_settings *s)
{
    for (size_t i = 0; i < s->listen_count; i++)
        if (s->listen[i].tls)
            return true;
    return false;
}

void settings_check(struct binder *b, const struct yaml_node *root)
{
    const struct sts_settings *s = &b->source->settings;

    if (!check_settings_any_tls(s) && s->certificate_count)
        check_settings_warn(b, root, "certificates", "certificates-unused",
                            "every listen entry says tls: off, so no certificate is used",
                            "remove certificates:, or tls: off from an entry");
    if (s->policy_host.len && s->address_count)
        check_settings_warn(b, root, "records", "records-both",
                            "policy_host is used, so addresses are not",
                            "keep policy_host for a CNAME, or addresses for A and AAAA records");
    if (s->policy_host.len && s->caa_count)
        check_settings_warn(
            b, root, "records", "caa-behind-cname",
            "mta-sts.TENANT is a CNAME, and nothing may stand beside one: caa is not used",
            "put the CAA records at policy_host; authorities follow the CNAME (RFC 8659)");
    if (s->delegation_zone.len && !s->policy_host.len && !s->address_count)
        check_settings_warn(b, root, "records", "delegation-no-host",
                            "nothing says where mta-sts.TENANT leads to",
                            "add policy_host: with the name of this server, or addresses:");
}
