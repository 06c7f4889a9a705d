/* Answers to commands that ask over the private socket: each a JSON document. Nothing that is asked
 * changes anything. */
#include <errno.h>
#include <string.h>

#include "server/daemon/parts.h"
#include "server/sys/clock.h"
#include "server/sys/file.h"
#include "server/sys/log.h"

static void answer_say(struct sts_buf *reply, const char *key, json_t *value)
{
    json_t *object = json_object();

    json_object_set_new(object, key, value);
    sts_json_render(reply, object, false);
}

/* Which file it is counts, not how it is called. */
static bool is_main_file(const struct daemon *d, const char *path)
{
    struct file_id asked = file_identify(path ? path : "");
    return asked.inode && file_id_same(asked, file_identify(d->config));
}

/* Two main files may name one ledger, or none. While the own one is gone, the one that is named may
 * be what it was. */
static bool is_other_file(const struct daemon *d, const char *path)
{
    return path && file_identify(d->config).inode && !is_main_file(d, path);
}

static void answer_status(struct daemon *d, const json_t *request, struct sts_buf *reply)
{
    const struct status_question question = {.now = clock_wall(),
                                             .all = json_is_true(json_object_get(request, "all")),
                                             .tenants = json_object_get(request, "tenants")};

    if (!is_other_file(d, json_string_value(json_object_get(request, "file")))) {
        status_render(reply, d, &question);
        return;
    }
    json_t *other = json_object();
    json_object_set_new(other, "other_file", json_true());
    json_object_set_new(other, "config", sts_json_str(sts_str_from(d->config)));
    sts_json_render(reply, other, false);
}

static void answer_check(struct daemon *d, const json_t *request, struct sts_buf *reply)
{
    if (is_main_file(d, json_string_value(json_object_get(request, "file"))))
        sts_json_render(reply, reload_predict(d), false);
    else
        answer_say(reply, "other_file", json_true());
}

/* What a builder elsewhere needs as last good. */
static void answer_served(struct daemon *d, const json_t *request, struct sts_buf *reply)
{
    const struct snapshot *s = d->snapshot;
    const char *separator = "";

    (void)request;
    sts_buf_add_cstr(reply, "{\"served\":[");
    for (size_t i = 0; i < s->tenant_count; i++) {
        if (s->tenants[i].state == TENANT_REFUSED)
            continue;
        json_t *object = json_object();
        json_object_set_new(object, "domain", sts_json_str(s->tenants[i].domain));
        json_object_set_new(object, "body", sts_json_str(tenant_body(&s->tenants[i])));
        json_object_set_new(object, "file", sts_json_str(tenant_stored_file(s, &s->tenants[i])));
        sts_buf_add_cstr(reply, separator);
        sts_json_render(reply, object, false);
        separator = ",";
    }
    sts_buf_add_cstr(reply, "]}");
}

static const struct {
    const char *ask;
    void (*answer)(struct daemon *d, const json_t *request, struct sts_buf *reply);
} answers[] = {{"status", answer_status}, {"check", answer_check}, {"served", answer_served}};

static void answer_on_request(void *data, struct sts_str text, struct sts_buf *reply)
{
    json_t *request = json_loadb(text.ptr ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES, NULL);
    const char *ask = json_string_value(json_object_get(request, "ask"));
    size_t count = sizeof(answers) / sizeof(*answers), i = 0;

    while (i < count && !(ask && strcmp(ask, answers[i].ask) == 0))
        i++;
    if (i < count)
        answers[i].answer(data, request, reply);
    else
        answer_say(reply, "error",
                   json_string(request ? "nobody knows what is asked" : "this is no JSON"));
    json_decref(request);
}

static void say_why_not(struct daemon *d, struct sts_str path, int error, struct sts_diags *diags)
{
    if (d->admin_said)
        return;
    d->admin_said = true;
    struct sts_diag *diag = sts_diag_add(
        diags, STS_WARNING, "socket-unusable", d->snapshot->settings.ledger.where, "%.*s %s",
        STS_ARG(path), error == EADDRINUSE ? "is in the way of the socket" : file_error(error));
    sts_diag_help(diags, diag,
                  "%s; until then mta-stsd status cannot ask this server, all else goes on",
                  error == EADDRINUSE ? "remove it" : "the directory must be there and writable");
    log_diag(diag);
}

void answer_start(struct daemon *d)
{
    struct sts_arena *arena = sts_arena_new();
    struct sts_str path = sts_arena_printf(arena, "%.*s.sock", STS_ARG(d->snapshot->ledger));
    const struct admin_setup setup = {.loop = d->loop,
                                      .path = path.ptr,
                                      .replace = d->publisher.lock >= 0,
                                      .answer = answer_on_request,
                                      .data = d};
    struct sts_diags diags;

    sts_diags_init(&diags, arena);
    if (d->admin && !admin_is_in_place(d->admin)) { /* deleted, together with the ledger perhaps */
        admin_close(d->admin);
        d->admin = NULL;
        d->admin_said = false;
    }
    if (!d->admin)
        d->admin = admin_open(&setup);
    if (!d->admin)
        say_why_not(d, path, errno, &diags);
    sts_arena_free(arena);
}
