/* What the shells complete, from the command table: one line each, for scripts.
 *
 *     NAME . SUMMARY         a command
 *     NAME --OPTION VALUE... an option, what must follow: one of these words, @file, @dir, or
 *                            @word for anything else; nothing follows a switch
 *     NAME - VALUE...        its arguments */
#include <string.h>

#include "mtasts/record.h"
#include "server/cli/command.h"

/* A word of a synopsis without brackets and dots. */
static struct sts_str completion_bare(struct sts_str word)
{
    while (word.len && word.ptr[0] == '[')
        word = sts_str_sub(word, 1, word.len);
    while (word.len && strchr("].", word.ptr[word.len - 1]))
        word.len--;
    return word;
}

static bool next_word(struct sts_str *rest, struct sts_str *word)
{
    size_t end = sts_str_find(*rest, ' ', 0);

    *word = sts_str_sub(*rest, 0, end);
    *rest = sts_str_sub(*rest, end + 1, rest->len);
    return word->len > 0;
}

static void add_formats(struct sts_buf *out)
{
    for (const struct sts_record_format *f = sts_record_formats; f->name; f++)
        sts_buf_printf(out, " %s", f->name);
}

/* Words stand as they are, with | between; what is in capitals stands for something. */
static void add_values(struct sts_buf *out, struct sts_str values)
{
    if (sts_str_is(values, "NAME"))
        add_formats(out);
    else if (sts_str_starts(values, STS_STR("FILE")))
        sts_buf_add(out, STS_STR(" @file"));
    else if (sts_str_starts(values, STS_STR("DIR")))
        sts_buf_add(out, STS_STR(" @dir"));
    else if (values.len && values.ptr[0] >= 'A' && values.ptr[0] <= 'Z')
        sts_buf_add(out, STS_STR(" @word"));
    else
        for (size_t at = 0; at < values.len; at = sts_str_find(values, '|', at) + 1)
            sts_buf_printf(out, " %.*s",
                           STS_ARG(sts_str_sub(values, at, sts_str_find(values, '|', at))));
}

/* "[--side tenant|provider]", "[--txt|--tlsrpt]", "-c FILE". */
static void add_options(struct sts_buf *out, const char *name, struct sts_str word,
                        struct sts_str *rest)
{
    bool flag = word.ptr[word.len - 1] == ']';
    struct sts_str names = completion_bare(word), value = {0};

    if (sts_str_is(names, "-c"))
        names = STS_STR("--config");
    if (!flag)
        next_word(rest, &value);
    for (size_t at = 0; at < names.len; at = sts_str_find(names, '|', at) + 1) {
        struct sts_str option = sts_str_sub(names, at, sts_str_find(names, '|', at));
        sts_buf_printf(out, "%s %.*s", name, STS_ARG(option));
        add_values(out, completion_bare(value));
        sts_buf_add(out, STS_STR("\n"));
    }
}

static void completion_add_command(struct sts_buf *out, const struct command *c)
{
    struct sts_str rest = sts_str_from(c->synopsis), word;

    sts_buf_printf(out, "%s . %s\n", c->name, c->summary);
    while (next_word(&rest, &word)) {
        if (completion_bare(word).ptr[0] == '-') {
            add_options(out, c->name, word, &rest);
            continue;
        }
        sts_buf_printf(out, "%s -", c->name);
        add_values(out, completion_bare(word));
        sts_buf_add(out, STS_STR("\n"));
    }
}

void completion_reference(struct sts_buf *out)
{
    for (const struct command *c = commands; c->name; c++)
        completion_add_command(out, c);
}
