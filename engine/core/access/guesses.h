/* Slows clients that guess passwords. It counts by client address (client_key.h), over all connections.
 *
 * - An address may send ten wrong passwords, and one more every six seconds.
 * - Above that, each login from it, right or wrong, waits for a second before it is checked. At most 32
 * are checked in a second. So an attacker gains nothing by giving up after some milliseconds without an
 * answer.
 * - A user who has logged in from that address before does not wait if the password is right. So guessing
 * does not shut out other users of the address, such as the clients of a balancer. A user who is new there
 * waits among the guesses, and is refused if that would take more than ten seconds.
 *
 * Both tables have a fixed size. A new entry replaces the oldest of four. Only right passwords make
 * entries of users, so an attacker cannot displace them. */
#ifndef STEERWAY_ACCESS_GUESSES_H
#define STEERWAY_ACCESS_GUESSES_H

#include "addr/addr.h"
#include "base/keyed_hash.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    GUESSES_FREE = 10,      /* wrong passwords of an address without delay */
    GUESSES_PER_SECOND = 32 /* logins of an address that are checked in a second after that */
};

struct guess_tables;

/** Zero-initialised is empty; memory is taken at the first login. */
struct guesses {
    struct guess_tables *tables;
    struct hash_key key;
};

void guesses_done(struct guesses *g);

/** Ask before a login that is not known to be right.
 *  @return seconds to wait before it is checked; 0: check it now; < 0: refuse it */
double guesses_wait(struct guesses *g, const struct addr *client, double now_s);

/** A password was wrong. @return whether the address has used up its free guesses now */
bool guesses_note_wrong(struct guesses *g, const struct addr *client, double now_s);
/** A password was right: the user is known at this address from now on. */
void guesses_note_right(struct guesses *g, const struct addr *client, struct slice user);
bool guesses_know(const struct guesses *g, const struct addr *client, struct slice user);

#endif
