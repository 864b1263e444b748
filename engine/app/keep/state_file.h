/* A small file that outlives the run: read at the start, replaced as a whole later. A thread writes it, so
 * the loop does not wait for the disk. A reader, also after a crash, finds either the old text or the new
 * one. */
#ifndef STEERWAY_KEEP_STATE_FILE_H
#define STEERWAY_KEEP_STATE_FILE_H

#include "base/compiler.h"

#include <ev.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>

/** Whether this is a folder of the user of this process: of a service that runs as a user of its own. */
bool state_file_is_own_folder(const char *path);

/** The path of a file in the user's state folder, as state_file_default says.
 *  @return as state_file_default */
MUST_CHECK int state_file_place(const char *file, char ret[PATH_MAX]);
/** The default path: state.json in $STATE_DIRECTORY (set by systemd) or $XDG_STATE_HOME/steerway. Without
 * those, /var/lib/steerway for root and for the user whose folder it is, and ~/.local/state/steerway for
 * others.
 *  @return 0, -ENOENT without any such folder, -ENAMETOOLONG */
MUST_CHECK int state_file_default(char ret[PATH_MAX]);

/** Embedded by its owner, who must not move it; zero-initialised is "not open". */
struct state_file {
    char path[PATH_MAX];
    struct ev_loop *loop; /* NULL: not open */
    int lock_fd;
    ev_async written;
    pthread_t writer;
    bool writing;
    char *text, *next; /* the text being written, and the next one; NULL for none */
    int result;        /* the writer's, 0 or negative errno */
    void (*failed)(struct state_file *f, int err); /* called after a failed write; err is negative */
};

/** Lock the file for this run, and read it. Missing folders are created.
 *  @param ret_text  malloc'ed; NULL when the file does not exist yet
 *  @return 0; -EADDRINUSE when another program holds it; -EFBIG over WHOLE_FILE_MAX; or another negative
 * errno */
MUST_CHECK int state_file_open(struct state_file *f, struct ev_loop *loop, const char *path, char **ret_text);
/** Go on with a file that another process has locked, and hands over; takes lock_fd. Nothing is read.
 *  @return 0, -ENAMETOOLONG */
MUST_CHECK int state_file_take_over(struct state_file *f, struct ev_loop *loop, const char *path,
                                    int lock_fd);
/** Replace the file by this text, which is taken over. */
void state_file_write(struct state_file *f, char *text);
/** Rename a file that cannot be parsed to PATH.bad. @return 0 or negative errno */
MUST_CHECK int state_file_set_aside(struct state_file *f);
/** Wait for the writer, write a last text (taken over; NULL for none), and release the file. Harmless when
 * it is not open. */
void state_file_close(struct state_file *f, char *text);

#endif
