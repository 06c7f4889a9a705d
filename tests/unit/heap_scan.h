/* Looks through this process's heap, freed pieces included, for bytes that must not be left there.
 * The bytes looked for must themselves be elsewhere: constants, or on the stack. */
#ifndef MTASTS_TESTS_UNIT_HEAP_SCAN_H
#define MTASTS_TESTS_UNIT_HEAP_SCAN_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Sanitizers have a heap of their own, which keeps what was freed. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HEAP_IS_PLAIN false
#else
#define HEAP_IS_PLAIN true
#endif

static inline bool heap_holds(const void *bytes, size_t len)
{
    static char window[1 << 16], maps[1 << 16];
    unsigned long from = 0, to = 0;
    bool found = false;
    size_t used = 0;
    ssize_t n;

    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC); /* no FILE: its buffer is on the heap */
    while ((n = read(fd, maps + used, sizeof(maps) - 1 - used)) > 0)
        used += (size_t)n;
    close(fd);
    maps[used] = '\0';
    char *line = strstr(maps, "[heap]");
    assert_non_null(line);
    while (line > maps && line[-1] != '\n')
        line--;
    assert_int_equal(sscanf(line, "%lx-%lx", &from, &to), 2);
    fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    while (!found && from + len <= to) {
        size_t size = to - from < sizeof(window) ? to - from : sizeof(window);
        assert_int_equal(pread(fd, window, size, (off_t)from), size);
        found = memmem(window, size, bytes, len) != NULL;
        from += size - len + 1;
    }
    close(fd);
    memset(window, 0, sizeof(window));
    return found;
}

#endif
