/* Messages from one thread to another's loop without a lock: whoever has something to say leaves a message,
 * and the loop that is meant reads all messages in its next turn. A message is embedded in what it is about,
 * and carries a few bits; while one is under way, more bits are added to it. */
#ifndef STEERWAY_RELAY_MAILBOX_H
#define STEERWAY_RELAY_MAILBOX_H

#include <ev.h>
#include <stdatomic.h>
#include <stdbool.h>

/** Zero-initialised is one that is not under way. Each belongs to one mailbox. */
struct message {
    _Atomic unsigned bits; /* not 0: under way, or being read */
    struct message *next;
};

struct mailbox;

/** A message has come; it may be sent anew, or freed with what it is about, from within. */
typedef void mailbox_read_fn(struct mailbox *m, struct message *l, unsigned bits);

struct mailbox {
    struct ev_loop *loop;
    mailbox_read_fn *read;
    _Atomic(struct message *) top; /* of the stack of those not read yet */
    ev_async wake;
};

/** On the loop's thread, or before that has begun. Does not keep the loop running. Must not move afterwards.
 */
void mailbox_init(struct mailbox *m, struct ev_loop *loop, mailbox_read_fn *read);
void mailbox_done(struct mailbox *m);

/** Add bits to a message, and send it unless it is under way already. From any thread.
 *  @param bits  not 0 */
void mailbox_send(struct mailbox *m, struct message *l, unsigned bits);

/** Add bits to a message that is to be under way no more.
 *  @return whether it was not, and so will never be again: further sends only add bits */
bool message_seal(struct message *l, unsigned bits);

/** Read what is there now. On the loop's thread, or after that has ended. */
void mailbox_empty(struct mailbox *m);

#endif
