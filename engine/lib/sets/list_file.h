/* A list's file, read into a set, with a stamp of the file's state.
 *
 * Reading a million names takes about 0.3 s. It touches only its arguments, so that it can run on its own
 * thread. */
#ifndef STEERWAY_SETS_LIST_FILE_H
#define STEERWAY_SETS_LIST_FILE_H

#include "sets/name_set.h"
#include "sets/range_set.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

enum list_kind { LIST_NAMES, LIST_RANGES };
/* The names in ctx: "domains", "cidrs". */
const char *list_file_kind_name(enum list_kind kind);

enum {
    LIST_FILE_BYTES_MAX = 64 << 20,  /* bytes */
    LIST_FILE_ENTRIES_MAX = 2000000, /* names or ranges in one list */
    LIST_FILE_ERROR_MAX = 512,
    LIST_FILE_SHOWN_MAX = 60, /* bytes of a line that messages show */
};

/** Equal stamps mean an unchanged file. */
struct list_file_stamp {
    dev_t dev;
    ino_t inode;
    off_t size;
    int64_t mtime_ns, ctime_ns; /* a program that writes in place may set mtime back, but not ctime */
};

struct list_file {
    enum list_kind kind;
    struct list_file_stamp stamp;
    struct name_set *names;                     /* of LIST_NAMES */
    struct range_set *ranges;                   /* of LIST_RANGES */
    size_t unknown;                             /* lines that were not recognised */
    size_t unknown_line;                        /* the first of these, from 1 on; 0 for none */
    char unknown_text[LIST_FILE_SHOWN_MAX + 1]; /* its text in UTF-8; '?' for each other byte */
    bool unknown_is_text;
};

/** @return 0, or negative errno */
MUST_CHECK int list_file_stamp_read(const char *path, struct list_file_stamp *ret);
bool list_file_stamp_same(const struct list_file_stamp *a, const struct list_file_stamp *b);

/** Read a list. @param stop  ends it early with -ECANCELED once it is set; NULL for never
 *  @return 0, or negative errno with one line in err (LIST_FILE_ERROR_MAX) that names the file */
MUST_CHECK int list_file_read(struct list_file **ret, enum list_kind kind, const char *path,
                              const atomic_bool *stop, char *err);
void list_file_free(struct list_file *l);

size_t list_file_count(const struct list_file *l);
size_t list_file_bytes(const struct list_file *l);

#endif
