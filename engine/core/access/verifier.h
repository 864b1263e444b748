/* Checks passwords against their hashes (hashes.h) on a thread, since a check takes many milliseconds. There
 * is one such thread, so guesses take one processor at most. A pair of name and password that was right is
 * remembered by a keyed hash, with a random key: its next login takes no time. */
#ifndef STEERWAY_ACCESS_VERIFIER_H
#define STEERWAY_ACCESS_VERIFIER_H

#include "base/compiler.h"
#include "base/slice.h"

#include <ev.h>
#include <stdbool.h>

/* Checks that wait, of all clients. */
enum { VERIFIER_WAITING_MAX = 256 };

struct verifier;
struct check;

/** On the loop's thread. The check is freed afterwards. */
typedef void verifier_done_fn(void *arg, bool right);

/** @return 0 or negative errno */
MUST_CHECK int verifier_new(struct verifier **ret, struct ev_loop *loop);
/** Waits for the check that runs; no further callbacks. NULL is allowed. */
void verifier_free(struct verifier *v);

/** Whether this pair was right before. @param v  may be NULL */
bool verifier_knows(const struct verifier *v, struct slice user, struct slice pass);
/** Forget all pairs: users or passwords may have changed. @param v  may be NULL */
void verifier_forget(struct verifier *v);

/** Check a password against the hash; all texts are copied.
 *  @param counts  false: take the time, but the result is wrong (for unknown users)
 *  @return NULL: too many wait, or no memory */
struct check *verifier_ask(struct verifier *v, const char *hash, bool counts, struct slice user,
                           struct slice pass, verifier_done_fn *done, void *arg);
/** Its done is not called any more. */
void verifier_cancel(struct verifier *v, struct check *c);

#endif
