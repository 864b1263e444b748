/* A connection as JSON text, without a tree of JSON values: thousands of them are written at once. */
#ifndef STEERWAY_VIEW_CONNECTION_ROW_H
#define STEERWAY_VIEW_CONNECTION_ROW_H

#include "base/buf.h"

struct account;

/** Append it as an object.
 *  @param state  of one that is open; else NULL
 *  @param now_s  monotonic
 *  @return 0, -ENOBUFS, -ENOMEM; then a part of it may be there */
MUST_CHECK int connection_row_write(struct buf *out, const struct account *a, const char *state,
                                    double now_s);

#endif
