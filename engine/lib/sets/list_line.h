/* What one line of a list says, in the formats that people have; docs/policies.md has the table of them.
 *
 * Each line is recognised by itself. Blank lines and comments say nothing (#, ! ; and // at the start; # ;
 * and // after a blank as well), and neither do "payload:", "---" and "[Adblock …]".
 *
 * lua/steerway/host/lines.lua does the same for lists in a policy's text and for the test kit; one table of
 * cases tests both (tests/lua/host/lines.txt). */
#ifndef STEERWAY_SETS_LIST_LINE_H
#define STEERWAY_SETS_LIST_LINE_H

#include "base/compiler.h"
#include "base/slice.h"

enum { LIST_LINE_MAX = 65536 }; /* bytes without its end; a longer one is unknown */
enum list_line { LIST_LINE_EMPTY, LIST_LINE_TAKEN, LIST_LINE_UNKNOWN };

/** Takes a name in lower case with what it covers (enum name_covers), or a range as it is written.
 *  @return 0, -EINVAL for what is neither, or -ENOMEM */
typedef int list_item_fn(void *arg, struct slice item, unsigned covers);

/** @return enum list_line, or the sink's -ENOMEM. Of a line with several names, those that are names are
 * taken even if the line counts as unknown for the sake of another */
MUST_CHECK int list_line_names(struct slice line, list_item_fn *add, void *arg);
MUST_CHECK int list_line_ranges(struct slice line, list_item_fn *add, void *arg);

#endif
