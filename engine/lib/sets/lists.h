/* The lists that a policy's files name, beside its VM: read and built outside of any call into Lua, kept from
 * one load to the next while their files stay the same.
 *
 * A load asks for its lists by lists_use. One that has not been read is noted as wanted, and the load comes
 * to nothing (script_load: -EAGAIN); lists_read then reads all that are wanted, on any thread, lists_take
 * takes them in, and the load is done again.
 *
 * Each script holds what it uses in a struct list_use, in C, so that it is given back whatever became of the
 * VM. */
#ifndef STEERWAY_SETS_LISTS_H
#define STEERWAY_SETS_LISTS_H

#include "sets/list_file.h"

enum {
    LISTS_MAX = 64,              /* of one policy */
    LISTS_BYTES_MAX = 256 << 20, /* in memory, all lists of one policy together */
};

struct list_entry {
    char *path;
    enum list_kind kind;
    struct list_file *list;          /* NULL: it could not be read */
    char error[LIST_FILE_ERROR_MAX]; /* then */
    bool fresh;                      /* seen to be as its file in the load under way */
    size_t refs;                     /* scripts that use it */
};

struct list_wish {
    char *path;
    enum list_kind kind;
    struct list_file *list;
    char error[LIST_FILE_ERROR_MAX];
};

/** Zero-initialised is empty. */
struct lists {
    struct list_entry **entries;
    size_t n;
    struct list_wish *wanted;
    size_t n_wanted;
};

/** What one script holds; zero-initialised is nothing. */
struct list_use {
    struct list_entry *held[LISTS_MAX];
    size_t n, bytes;
};
void list_use_done(struct list_use *u);
/** @return NULL for one that is not held */
const struct list_file *list_use_find(const struct list_use *u, enum list_kind kind, const char *path);
/** Whether one of the files is not as it was read. */
bool list_use_changed(const struct list_use *u);

void lists_done(struct lists *l);

/** A load begins: look anew whether the files are the same. */
void lists_begin(struct lists *l);
/** It is over: drop what no script uses. */
void lists_end(struct lists *l);

/** @return 0 with the list, which stays until list_use_done; -EAGAIN: it is wanted; or another negative errno
 *  with one line in err (LIST_FILE_ERROR_MAX) that names the list */
MUST_CHECK int lists_use(struct lists *l, struct list_use *u, enum list_kind kind, const char *path,
                         const struct list_file **ret, char *err);

/** Read all that are wanted. Nothing else may be called meanwhile but list_use_done and what reads lists. */
void lists_read(struct lists *l, const atomic_bool *stop);
/** Take in what was read, and log what was not understood. */
void lists_take(struct lists *l);

#endif
