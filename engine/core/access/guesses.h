/* Slows those who guess passwords, by client address (client_key.h), however many connections they use.
 *
 * - An address may give ten wrong passwords, and one more every six seconds.
 * - Beyond that, each login from it waits for a second before it is checked, whether it is right or not, and
 *   32 are checked in a second. So to give up after some milliseconds without an answer is of no use.
 * - A user who has logged in from that address before does not wait, given the right password. So guessing
 * does not shut out other users of the address, such as the clients of one balancer. A user who is new there
 *   waits for a turn among the guesses, and is refused where that would take more than ten seconds.
 *
 * Both tables are of fixed size. New entries take the place of the oldest of four; those of users are made by
 * right passwords alone, so that no stranger drives them out. */
#ifndef STEERWAY_ACCESS_GUESSES_H
#define STEERWAY_ACCESS_GUESSES_H

#include "addr/addr.h"
#include "base/keyed_hash.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    GUESSES_FREE = 10,      /* wrong passwords of one address */
    GUESSES_PER_SECOND = 32 /* logins of one address that are checked, once these are used up */
};

struct guess_tables;

/** Zero-initialised is empty; memory is taken at the first login. */
struct guesses {
    struct guess_tables *tables;
    struct hash_key key;
};

void guesses_done(struct guesses *g);

/** A login is to be checked that is not known to be right.
 *  @return for how long it waits, in seconds; 0: it is checked now; < 0: it is refused */
double guesses_wait(struct guesses *g, const struct addr *client, double now_s);

/** A password was wrong. @return whether it was the last that was free */
bool guesses_note_wrong(struct guesses *g, const struct addr *client, double now_s);
/** One was right: from now on they know the user at this address. */
void guesses_note_right(struct guesses *g, const struct addr *client, struct slice user);
bool guesses_know(const struct guesses *g, const struct addr *client, struct slice user);

#endif
