#include "server/admin/address.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mtasts/str.h"

static int open_directory(const char *path, size_t length)
{
    struct sts_buf directory = {0};

    sts_buf_printf(&directory, "%.*s", length ? (int)length : 1, length ? path : ".");
    int fd = open(directory.ptr, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int error = errno;
    sts_buf_fini(&directory);
    errno = error;
    return fd;
}

int admin_address_open(struct admin_address *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    const size_t size = sizeof(a->address.sun_path);

    *a = (struct admin_address){.name = slash ? slash + 1 : path,
                                .address = {.sun_family = AF_UNIX}};
    a->directory = open_directory(path, (size_t)(a->name - path));
    if (a->directory < 0)
        return -1;
    int length = snprintf(a->address.sun_path, size, "/proc/self/fd/%d/%s", a->directory, a->name);
    if (length > 0 && (size_t)length < size)
        return 0;
    close(a->directory);
    errno = ENAMETOOLONG;
    return -1;
}
