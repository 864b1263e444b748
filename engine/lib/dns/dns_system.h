/* Names as every other program of this machine finds them: by getaddrinfo, with all the modules that
 * nsswitch.conf names (mDNS, winbind, local containers). It blocks, so it runs on threads: DNS_SYSTEM_THREADS
 * at most, of these DNS_SYSTEM_THREADS_ASKER for one asker, which start when they are needed and end with the
 * last question. Further questions wait, and the askers are served in turns. */
#ifndef STEERWAY_DNS_DNS_SYSTEM_H
#define STEERWAY_DNS_DNS_SYSTEM_H

#include "dns/dns_answer.h"

#include <ev.h>

enum { DNS_SYSTEM_THREADS = 6, DNS_SYSTEM_THREADS_ASKER = 4 };

struct dns_system;
struct dns_system_question;

/** Called once, on the loop, never from within dns_system_ask.
 *  @param answer  the callee takes a reference of its own if it keeps it; n is 0 where nothing was found */
typedef void dns_system_done_fn(void *arg, struct dns_answer *answer);

/** @return 0, -ENOMEM, or the negative errno of a mutex */
MUST_CHECK int dns_system_new(struct dns_system **ret, struct ev_loop *loop);
/** What runs is left to its thread, and nobody is called back. NULL is let through. */
void dns_system_free(struct dns_system *s);

/** @param name  copied @param asker  tells one from the other, and is not looked at; NULL: this program
 *  @return NULL without memory or threads */
struct dns_system_question *dns_system_ask(struct dns_system *s, const char *name, const void *asker,
                                           dns_system_done_fn *done, void *arg);
/** Nobody is called back. What runs already goes on on its thread. */
void dns_system_cancel(struct dns_system_question *q);

#endif
