/* Policy ids (RFC 8461 §3.1): readable, alphanumeric, made of the time of the change and content.
 */
#include <string.h>

#include "mtasts/record.h"

enum { TIME_DIGITS = 14, HASH_DIGITS = 8, OUR_LENGTH = TIME_DIGITS + HASH_DIGITS + 1 };

static const time_t last_time = 253402300799; /* 9999-12-31 23:59:59 UTC */

bool sts_id_check(struct sts_str id)
{
    if (id.len == 0 || id.len > STS_ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++)
        if (!sts_is_alnum(id.ptr[i]))
            return false;
    return true;
}

void sts_id_render(time_t changed, const unsigned char digest[STS_DIGEST_LEN],
                   char out[STS_ID_MAX + 1])
{
    static const char hex[] = "0123456789abcdef";
    struct tm utc;

    if (changed < 0)
        changed = 0;
    if (changed > last_time)
        changed = last_time;
    gmtime_r(&changed, &utc);
    strftime(out, TIME_DIGITS + 1, "%Y%m%d%H%M%S", &utc);
    for (size_t i = 0; i < HASH_DIGITS; i++)
        out[TIME_DIGITS + i] = hex[i % 2 ? digest[i / 2] & 15 : digest[i / 2] >> 4];
    memcpy(out + TIME_DIGITS + HASH_DIGITS, "Z", 2);
}

static bool id_number(struct sts_str id, size_t from, size_t digits, int *out)
{
    unsigned long long value;
    if (!sts_str_to_uint(sts_str_sub(id, from, from + digits), digits, 9999, &value))
        return false;
    *out = (int)value;
    return true;
}

bool sts_id_time(struct sts_str id, time_t *out)
{
    struct tm utc = {0};
    char again[STS_ID_MAX + 1];

    if (id.len != OUR_LENGTH || id.ptr[OUR_LENGTH - 1] != 'Z')
        return false;
    if (!id_number(id, 0, 4, &utc.tm_year) || !id_number(id, 4, 2, &utc.tm_mon) ||
        !id_number(id, 6, 2, &utc.tm_mday) || !id_number(id, 8, 2, &utc.tm_hour) ||
        !id_number(id, 10, 2, &utc.tm_min) || !id_number(id, 12, 2, &utc.tm_sec))
        return false;
    for (size_t i = TIME_DIGITS; i < TIME_DIGITS + HASH_DIGITS; i++)
        if (!sts_is_digit(id.ptr[i]) && (id.ptr[i] < 'a' || id.ptr[i] > 'f'))
            return false;
    utc.tm_year -= 1900;
    utc.tm_mon -= 1;
    time_t time = timegm(&utc);
    /* timegm accepts the 31st of June; an id of ours renders back to itself. */
    sts_id_render(time, (const unsigned char[STS_DIGEST_LEN]){0}, again);
    if (memcmp(again, id.ptr, TIME_DIGITS) != 0)
        return false;
    *out = time;
    return true;
}
