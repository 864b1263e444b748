/* The lists that a policy's files name. They are read outside of any call into Lua, and kept from one load to
 * the next while their files stay the same.
 *
 * A load asks for its lists by lists_use. A list that was not read is noted as wanted, and the load fails
 * (script_load: -EAGAIN). lists_read then reads all wanted lists, on any thread, lists_take adds them, and
 * the load is repeated.
 *
 * Each script holds its lists in a struct list_use, in C, so that they are released whatever happens to the
 * VM. */
#ifndef STEERWAY_SETS_LISTS_H
#define STEERWAY_SETS_LISTS_H

#include "sets/list_file.h"

enum {
    LISTS_MAX = 64,              /* of one policy */
    LISTS_BYTES_MAX = 256 << 20, /* memory of all lists of one policy */
};

struct list_entry {
    char *path;
    enum list_kind kind;
    struct list_file *list;          /* NULL: it could not be read */
    char error[LIST_FILE_ERROR_MAX]; /* why it could not be read */
    bool fresh;                      /* checked against its file in this load */
    size_t refs;                     /* number of scripts that use it */
};

struct list_wish {
    char *path;
    enum list_kind kind;
    struct list_file *list;
    char error[LIST_FILE_ERROR_MAX];
};

/** Zero-initialised: empty. */
struct lists {
    struct list_entry **entries;
    size_t n;
    struct list_wish *wanted;
    size_t n_wanted;
};

/** The lists of one script. Zero-initialised: none. */
struct list_use {
    struct list_entry *held[LISTS_MAX];
    size_t n, bytes;
};
void list_use_done(struct list_use *u);
/** @return NULL if it is not held */
const struct list_file *list_use_find(const struct list_use *u, enum list_kind kind, const char *path);
/** Whether a file has changed since it was read. */
bool list_use_changed(const struct list_use *u);

void lists_done(struct lists *l);

/** Begin a load: check the files again. */
void lists_begin(struct lists *l);
/** End a load: free the lists that no script uses. */
void lists_end(struct lists *l);

/** Ask for a list. @return 0 with the list, which stays until list_use_done; -EAGAIN: it is wanted; or
 * another negative errno with one line in err (LIST_FILE_ERROR_MAX) that names the list */
MUST_CHECK int lists_use(struct lists *l, struct list_use *u, enum list_kind kind, const char *path,
                         const struct list_file **ret, char *err);

/** Read all wanted lists. Meanwhile only list_use_done and functions that read lists may be called. */
void lists_read(struct lists *l, const atomic_bool *stop);
/** Add the lists that were read, and log their unknown lines. */
void lists_take(struct lists *l);

#endif
