/* Messages from one thread to another thread's loop, without a lock. Any thread may send; the loop reads
 * all messages in its next turn. A message is embedded in its subject and carries a few bits. Bits can be
 * added to a message that was sent and not read yet. */
#ifndef STEERWAY_RELAY_MAILBOX_H
#define STEERWAY_RELAY_MAILBOX_H

#include <ev.h>
#include <stdatomic.h>
#include <stdbool.h>

/** Zero-initialised is not sent. A message belongs to one mailbox. */
struct message {
    _Atomic unsigned bits; /* not 0: sent, or being read */
    struct message *next;
};

struct mailbox;

/** Called for each message. The callee may send it again, or free it. */
typedef void mailbox_read_fn(struct mailbox *m, struct message *l, unsigned bits);

struct mailbox {
    struct ev_loop *loop;
    mailbox_read_fn *read;
    _Atomic(struct message *) top; /* stack of unread messages */
    ev_async wake;
};

/** Call it on the loop's thread, or before that thread runs. The mailbox does not keep the loop running.
 * It must not move afterwards. */
void mailbox_init(struct mailbox *m, struct ev_loop *loop, mailbox_read_fn *read);
void mailbox_done(struct mailbox *m);

/** Add bits to a message, and send it unless it was already sent and not read. From any thread.
 *  @param bits  not 0 */
void mailbox_send(struct mailbox *m, struct message *l, unsigned bits);

/** Add bits to a message, and prevent that it is sent again.
 *  @return true when no send is pending: later sends only add bits, and the message may be freed */
bool message_seal(struct message *l, unsigned bits);

/** Read all messages now. On the loop's thread, or after that thread has ended. */
void mailbox_empty(struct mailbox *m);

#endif
