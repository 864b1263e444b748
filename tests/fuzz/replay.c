/* Runs a fuzz target over the files of the given folders, without a fuzzer, so that fixed bugs do not
 * return. */
#include "fuzz.h"

#include <dirent.h>

static bool replay(const char *folder, const char *name)
{
    char path[4096];
    FILE *f;
    long size = -1;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0) {
        perror(path);
        if (f)
            (void)fclose(f);
        return false;
    }
    rewind(f);
    uint8_t *data = malloc(size ? (size_t)size : 1);
    bool whole = data && fread(data, 1, (size_t)size, f) == (size_t)size;
    (void)fclose(f);
    if (whole)
        (void)LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    return whole;
}

int main(int argc, char **argv)
{
    size_t n = 0;

    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        if (!folder) {
            perror(argv[i]);
            return 1;
        }
        for (struct dirent *e; (e = readdir(folder));) {
            if (e->d_name[0] == '.')
                continue;
            if (!replay(argv[i], e->d_name))
                return 1;
            n++;
        }
        (void)closedir(folder);
    }
    (void)printf("%zu inputs\n", n);
    return n > 0 ? 0 : 1;
}
