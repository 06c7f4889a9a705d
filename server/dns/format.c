#include "server/dns/format.h"

const struct sts_record_format sts_record_formats[] = {
    {"table", "host, type, TTL and value, for a DNS provider's form", format_table, NULL, NULL,
     false},
    {"bind", "zone file lines with absolute names", format_bind, NULL, NULL, false},
    {"json", "for scripts", format_json, format_json_begin, format_json_end, false},
    {"nsupdate", "dynamic updates, for nsupdate or knsupdate", format_nsupdate, NULL, NULL, false},
    {"knot", "a script for sh that runs knotc of Knot DNS", format_knot, format_knot_begin, NULL,
     false},
    {"powerdns", "a script for sh that runs pdnsutil of PowerDNS", format_powerdns,
     format_powerdns_begin, NULL, false},
    {"html", "one page to read, search and copy from; opens in any browser", format_html,
     format_html_begin, format_html_end, true},
    {"csv", "comma-separated values, for spreadsheets", format_csv, format_csv_begin, NULL, false},
    {"octodns", "octoDNS zone files, YAML", format_octodns, NULL, NULL, false},
    {"dnscontrol", "DNSControl, JavaScript for dnsconfig.js", format_dnscontrol, NULL, NULL, false},
    {"terraform-aws", "Terraform or OpenTofu, for Route 53", format_terraform_aws, NULL, NULL,
     false},
    {"terraform-cloudflare", "Terraform or OpenTofu, for Cloudflare", format_terraform_cloudflare,
     NULL, NULL, false},
    {"terraform-google", "Terraform or OpenTofu, for Google Cloud DNS", format_terraform_google,
     NULL, NULL, false},
    {"route53", "Route 53 change batches, JSON, one a line", format_route53, NULL, NULL, false},
    {"cloudflare", "records for the Cloudflare API, JSON, one zone a line", format_cloudflare, NULL,
     NULL, false},
    {"markdown", "a letter to the customer: what to enter, and when", format_markdown, NULL, NULL,
     false},
    {NULL, NULL, NULL, NULL, NULL, false},
};

const struct sts_record_format *sts_record_format_find(struct sts_str name)
{
    for (const struct sts_record_format *f = sts_record_formats; f->name; f++)
        if (sts_str_is(name, f->name))
            return f;
    return NULL;
}
