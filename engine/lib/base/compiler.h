/* Helpers for every layer: attributes, container_of, array length. */
#ifndef STEERWAY_BASE_COMPILER_H
#define STEERWAY_BASE_COMPILER_H

#include <stddef.h>

/** The caller must use the result, or cast it to void. */
#define MUST_CHECK __attribute__((warn_unused_result))
/** For rare cases: never inlined, so the callers' usual path saves no registers for it. */
#define SELDOM __attribute__((noinline, cold))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/** The object of type `type` whose member `member` is at `ptr`. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
