/* A list's file, read and built: the set, and from which state of the file it is.
 *
 * Reading takes as long as it takes, some 0.3 s for a million names, and touches nothing but what is given:
 * it is meant for a thread of its own. */
#ifndef STEERWAY_SETS_LIST_FILE_H
#define STEERWAY_SETS_LIST_FILE_H

#include "sets/name_set.h"
#include "sets/range_set.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

enum list_kind { LIST_NAMES, LIST_RANGES };
/* As ctx calls them: "domains", "cidrs". */
const char *list_file_kind_name(enum list_kind kind);

enum {
    LIST_FILE_BYTES_MAX = 64 << 20,  /* bytes */
    LIST_FILE_ENTRIES_MAX = 2000000, /* names or ranges of one list */
    LIST_FILE_ERROR_MAX = 512,
    LIST_FILE_SHOWN_MAX = 60, /* bytes of a line, in messages */
};

/** When these are the same, the file is. */
struct list_file_stamp {
    dev_t dev;
    ino_t inode;
    off_t size;
    int64_t mtime_ns, ctime_ns; /* who writes in place may set the first of them back */
};

struct list_file {
    enum list_kind kind;
    struct list_file_stamp stamp;
    struct name_set *names;                     /* of LIST_NAMES */
    struct range_set *ranges;                   /* of LIST_RANGES */
    size_t unknown;                             /* lines that were not understood */
    size_t unknown_line;                        /* the first of them, from 1 on */
    char unknown_text[LIST_FILE_SHOWN_MAX + 1]; /* of that, in UTF-8; '?' for what is not */
    bool unknown_is_text;
};

/** @return 0, or negative errno */
MUST_CHECK int list_file_stamp_read(const char *path, struct list_file_stamp *ret);
bool list_file_stamp_same(const struct list_file_stamp *a, const struct list_file_stamp *b);

/** Read and build. @param stop  ends it early (-ECANCELED) when it is set; NULL for never
 *  @return 0, or negative errno with one line in err (LIST_FILE_ERROR_MAX) that names the file */
MUST_CHECK int list_file_read(struct list_file **ret, enum list_kind kind, const char *path,
                              const atomic_bool *stop, char *err);
void list_file_free(struct list_file *l);

size_t list_file_count(const struct list_file *l);
size_t list_file_bytes(const struct list_file *l);

#endif
