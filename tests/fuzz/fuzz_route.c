/* Fuzz: bytes as a client sends them, through PROXY line, head and route. Besides not crashing, the
 * strict scanner has to agree with the parser of libh2o about every head that it lets pass. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/http/head.h"
#include "server/http/proxy.h"
#include "server/http/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* picohttpparser, as libh2o exports it. */
struct phr_header {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
};
int phr_parse_request(const char *buf, size_t len, const char **method, size_t *method_len,
                      const char **path, size_t *path_len, int *minor_version,
                      struct phr_header *headers, size_t *num_headers, size_t last_len);

#define FIELDS 512

static bool is_named(const struct phr_header *field, const char *name)
{
    return sts_str_eq_nocase((struct sts_str){field->name, field->name_len}, sts_str_from(name));
}

static void compare_with_library(struct sts_str input, const struct head *head)
{
    static struct phr_header fields[FIELDS];
    struct sts_str method, target, host = {0};
    size_t count = FIELDS;
    unsigned hosts = 0, lengths = 0, codings = 0;
    int minor;
    int len = phr_parse_request(input.ptr, input.len, &method.ptr, &method.len, &target.ptr,
                                &target.len, &minor, fields, &count, 0);

    if (len < 0)
        return; /* the library answers 400 itself */
    assert((size_t)len == head->len);
    assert(sts_str_eq(method, head->method) && sts_str_eq(target, head->target));
    for (size_t i = 0; i < count; i++) {
        if (is_named(&fields[i], "host")) {
            hosts++;
            host = sts_str_trim((struct sts_str){fields[i].value, fields[i].value_len});
        }
        lengths += is_named(&fields[i], "content-length");
        codings += is_named(&fields[i], "transfer-encoding");
    }
    assert(hosts == head->host_count && sts_str_eq(host, head->host));
    assert(head->announces_body || (lengths <= 1 && codings == 0));
}

static void check_route(const struct head *head, struct sts_str sni)
{
    struct route_request request = {
        .method = head->method,
        .target = head->target,
        .authority = head->host,
        .host = sni,
        .host_count = head->host_count,
        .announces_body = head->announces_body,
        .malformed = head->malformed,
    };
    char buffer[ROUTE_NAME_MAX];
    struct sts_str name;
    enum route_result result = route_decide(&request, buffer, sizeof(buffer), &name);

    assert((result == ROUTE_BAD_REQUEST) == (name.len == 0));
    for (size_t i = 0; i < name.len; i++)
        assert(name.ptr[i] > ' ' && name.ptr[i] < 0x7f && name.ptr[i] != '/' &&
               name.ptr[i] == sts_lower(name.ptr[i]));
    if (head->malformed || head->announces_body || head->host_count != 1)
        assert(result == ROUTE_BAD_REQUEST);
    if (result != ROUTE_POLICY)
        return;
    assert(sni.len == 0 || sts_str_eq(name, sni));
    assert(sts_str_is(head->method, "GET") || sts_str_is(head->method, "HEAD"));
    struct sts_str path = sts_str_sub(head->target, 0, sts_str_find(head->target, '?', 0));
    assert(sts_str_ends(path, STS_STR("/.well-known/mta-sts.txt")));
}

static void check_head(struct sts_str input)
{
    struct head head, again;

    if (!head_scan(input, &head))
        return;
    assert(head.len > 0 && head.len <= input.len);
    assert(!head_scan(sts_str_sub(input, 0, head.len - 1), &again));
    assert(head_scan(sts_str_sub(input, 0, head.len), &again) && again.len == head.len);
    if (!head.malformed)
        compare_with_library(input, &head);
    check_route(&head, STS_STR("mta-sts.example.org"));
    check_route(&head, (struct sts_str){0});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1); /* its own block: reads beyond it are seen */
    struct sts_str input = {copy, size};
    struct proxy_client client;
    size_t len = 0;

    if (!copy)
        abort();
    memcpy(copy, data, size);
    if (proxy_parse(input, &client, &len) == PROXY_OK) {
        assert(len >= 15 && len <= PROXY_MAX && len <= size);
        assert(copy[len - 2] == '\r' && copy[len - 1] == '\n');
        input = sts_str_sub(input, len, size);
    }
    check_head(input);
    free(copy);
    return 0;
}
