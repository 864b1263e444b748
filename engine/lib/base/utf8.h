/* UTF-8 (RFC 3629). */
#ifndef STEERWAY_BASE_UTF8_H
#define STEERWAY_BASE_UTF8_H

#include "base/slice.h"

/** @param s  not empty
 *  @return the length in bytes of the first character; 0: it is not UTF-8 */
size_t utf8_len(struct slice s);

#endif
