/* One line of a list, in the usual formats; docs/policies.md has their table.
 *
 * Each line is recognised by itself. Blank lines and comments are empty: #, !, ; and // at the start, and #,
 * ; and // after a blank. So are "payload:", "---" and "[Adblock …]".
 *
 * lua/steerway/host/lines.lua does the same for lists in a policy's text and for the test kit. One table of
 * cases tests both (tests/lua/host/lines.txt). */
#ifndef STEERWAY_SETS_LIST_LINE_H
#define STEERWAY_SETS_LIST_LINE_H

#include "base/compiler.h"
#include "base/slice.h"

enum { LIST_LINE_MAX = 65536 }; /* bytes without the line end; a longer line is unknown */
enum list_line { LIST_LINE_EMPTY, LIST_LINE_TAKEN, LIST_LINE_UNKNOWN };

/** Takes a name in lower case with what it covers (enum name_covers), or a range as it was written.
 *  @return 0, -EINVAL for invalid text, or -ENOMEM */
typedef int list_item_fn(void *arg, struct slice item, unsigned covers);

/** @return enum list_line, or -ENOMEM from add. In a line with several names, the valid ones are taken even
 *  if another one makes the line unknown */
MUST_CHECK int list_line_names(struct slice line, list_item_fn *add, void *arg);
MUST_CHECK int list_line_ranges(struct slice line, list_item_fn *add, void *arg);

#endif
