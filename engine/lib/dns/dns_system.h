/* Names as other programs of this machine resolve them: by getaddrinfo, with all modules in nsswitch.conf
 * (mDNS, winbind, local containers). It blocks, so it runs on threads. These start when needed, and end with
 * the last question. There are at most DNS_SYSTEM_THREADS, of which one asker gets DNS_SYSTEM_THREADS_ASKER.
 * Further questions wait, and the askers take turns. */
#ifndef STEERWAY_DNS_DNS_SYSTEM_H
#define STEERWAY_DNS_DNS_SYSTEM_H

#include "dns/dns_answer.h"

#include <ev.h>

enum { DNS_SYSTEM_THREADS = 6, DNS_SYSTEM_THREADS_ASKER = 4 };

struct dns_system;
struct dns_system_question;

/** Called once, on the loop, never from within dns_system_ask.
 *  @param answer  borrowed; n is 0 if nothing was found */
typedef void dns_system_done_fn(void *arg, struct dns_answer *answer);

/** @return 0, -ENOMEM, or the negative errno of a mutex */
MUST_CHECK int dns_system_new(struct dns_system **ret, struct ev_loop *loop);
/** Running questions stay with their threads; nothing is called back. NULL is allowed. */
void dns_system_free(struct dns_system *s);

/** @param name   copied
 *  @param asker  identifies the asker, and is not dereferenced; NULL: this program
 *  @return NULL without memory or threads */
struct dns_system_question *dns_system_ask(struct dns_system *s, const char *name, const void *asker,
                                           dns_system_done_fn *done, void *arg);
/** Nothing is called back. A running question continues on its thread. */
void dns_system_cancel(struct dns_system_question *q);

#endif
