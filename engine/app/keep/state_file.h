/* A small file that outlives the run: read at the start, replaced as a whole while it runs. Writing waits for
 * the disk in a thread of its own, so that the loop never does; a reader, or a crash at any moment, finds the
 * old text or the new one. */
#ifndef STEERWAY_KEEP_STATE_FILE_H
#define STEERWAY_KEEP_STATE_FILE_H

#include "base/compiler.h"

#include <ev.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>

enum { STATE_FILE_MAX = 1024 * 1024 };

/** state.json in $STATE_DIRECTORY (as systemd gives it) or $XDG_STATE_HOME/steerway; without those, in
 *  /var/lib/steerway for root and in ~/.local/state/steerway for others.
 *  @return 0, -ENOENT when there is no such place, -ENAMETOOLONG */
MUST_CHECK int state_file_default(char ret[PATH_MAX]);

/** Embedded by its owner, who must not move it; zero-initialised is "not open". */
struct state_file {
    char path[PATH_MAX];
    struct ev_loop *loop; /* NULL: not open */
    int lock_fd;
    ev_async written;
    pthread_t writer;
    bool writing;
    char *text, *next; /* that the writer writes, and what is to be written after that; NULL for none */
    int result;        /* the writer's */
    void (*failed)(struct state_file *f, int err); /* a write did not succeed; err is negative */
};

/** Take the file for this run alone, and read it. Missing folders are made.
 *  @param ret_text  malloc'ed; NULL when there is no such file yet
 *  @return 0; -EADDRINUSE when another program has it; -EFBIG over STATE_FILE_MAX; or another negative errno
 */
MUST_CHECK int state_file_open(struct state_file *f, struct ev_loop *loop, const char *path, char **ret_text);
/** Have the file replaced by this text. Takes it. */
void state_file_write(struct state_file *f, char *text);
/** Put the file aside, as PATH.bad, since it cannot be understood. @return 0 or negative errno */
MUST_CHECK int state_file_set_aside(struct state_file *f);
/** Wait for the writer, write a last text (taken; NULL for none), and let go of the file. Harmless on one
 * that is not open. */
void state_file_close(struct state_file *f, char *text);

#endif
