/* Internationalised names in their DNS form: "bücher.example" is "xn--bcher-kva.example". */
#ifndef STEERWAY_SETS_ASCII_NAME_H
#define STEERWAY_SETS_ASCII_NAME_H

#include "base/compiler.h"
#include "base/slice.h"
#include "sets/name_set.h"

/** Convert to A-labels in lower case (RFC 5891, with the mapping of UTS 46). Allocates memory during the
 * call.
 *  @return the length, or -EINVAL if it is not a name in UTF-8 */
MUST_CHECK int ascii_name(struct slice name, char ret[static NAME_SET_TEXT_MAX + 1]);

#endif
