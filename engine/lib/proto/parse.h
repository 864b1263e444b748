/* The result of every parser in this room. Parsers are pure: they read (data, len), never past len, do not
 * allocate and keep no state. Their results point into the input. */
#ifndef STEERWAY_PROTO_PARSE_H
#define STEERWAY_PROTO_PARSE_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdint.h>

enum parse {
    PARSE_OK,        /* a whole message; results are filled */
    PARSE_NEED_MORE, /* a valid beginning; call again with more */
    PARSE_BAD,       /* can never become valid */
};

#endif
