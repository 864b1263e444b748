/* What capture has changed on this machine, in a file. It is written before each change, so that a later
 * process can undo it, however an earlier one ended. */
#ifndef STEERWAY_CAPTURE_CAPTURE_RECORD_H
#define STEERWAY_CAPTURE_CAPTURE_RECORD_H

#include "capture/capture_plan.h"

#include <limits.h>

struct capture_record {
    bool known; /* the file exists */
    struct capture_request request;
    struct capture_steps steps; /* added, or about to be added */
    char control[PATH_MAX];     /* the control socket of the proxy; "" for the default */
};

/** A record that is open: no other process changes the capture meanwhile. */
struct capture_book {
    char path[PATH_MAX];
    int lock_fd;
    struct capture_record record;
};

/** Read without a lock. A file that makes no sense counts as none. @return 0 or negative errno */
MUST_CHECK int capture_record_read(struct capture_record *ret);

/** Lock the file, and read it. @return 0, -EADDRINUSE when another process has it, or negative errno */
MUST_CHECK int capture_book_open(struct capture_book *b);
/** Replace the file by what b->record says. @return 0 or negative errno */
MUST_CHECK int capture_book_write(struct capture_book *b);
/** Remove the file. @return 0 or negative errno */
MUST_CHECK int capture_book_clear(struct capture_book *b);
void capture_book_close(struct capture_book *b);

/** @return a new reference, or NULL without memory */
json_t *capture_record_json(const struct capture_record *r);
/** @return 0, -EPROTO */
MUST_CHECK int capture_record_parse(struct capture_record *ret, const json_t *o);

#endif
