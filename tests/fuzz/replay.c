/* Feeds every file of the given folders (or files) to a fuzz target: so a corpus is replayed by any
 * compiler and under any sanitizer, without libFuzzer. The target aborts when something is wrong.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t inputs;

static void replay_die(const char *path)
{
    fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
    exit(3);
}

/* Exactly as long as the file, so that reading past its end is caught. */
static void replay_file(const char *path, size_t size)
{
    uint8_t *data = malloc(size ? size : 1);
    FILE *file = fopen(path, "rb");
    if (!file || !data || fread(data, 1, size, file) != size)
        replay_die(path);
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    inputs++;
}

static void replay_path(const char *path)
{
    struct stat st;
    if (stat(path, &st))
        replay_die(path);
    if (!S_ISDIR(st.st_mode)) {
        replay_file(path, (size_t)st.st_size);
        return;
    }
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0)
        replay_die(path);
    for (int i = 0; i < count; i++) {
        char name[PATH_MAX];
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            replay_path(name);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        replay_path(argv[i]);
    if (!inputs) {
        fprintf(stderr, "replay: no input\n");
        return 3;
    }
    printf("%s: %zu inputs passed\n", argv[0], inputs);
    return 0;
}
