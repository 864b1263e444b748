/* A sink of the log: a descriptor, of standard error or of a file. */
#ifndef STEERWAY_BASE_LOG_FD_H
#define STEERWAY_BASE_LOG_FD_H

#include "base/log_sink.h"

struct log_fd {
    struct log_sink sink; /* log_fd_write, and the form */
    int fd;
    bool shared; /* others have the descriptor too: it may not be made non-blocking */
    bool torn;   /* the last byte written did not end a line */
};

/** @param line  ends in a newline
 *  @return false if it is lost */
bool log_fd_put(struct log_fd *f, const struct log_text *line);
/** For sink.write. */
bool log_fd_write(struct log_sink *s, const struct log_entry *e);

/** Set fd and shared for the present standard error; closes the former fd, unless that was standard error. */
void log_fd_of_stderr(struct log_fd *f);

#endif
