/* The question for a name's addresses of one family, to the servers of a way. The best server (dns_scores.h)
 * is asked first, and the next one if it fails or does not answer in time. After the last one all are asked
 * again, in three rounds. The first useful answer ends the question. An alias without addresses leads to
 * another question. */
#ifndef STEERWAY_DNS_DNS_QUESTION_H
#define STEERWAY_DNS_DNS_QUESTION_H

#include "base/fault.h"
#include "dns/dns_message.h"
#include "dns/dns_way.h"

struct dns_question;

/** Called once, never from within dns_question_start. The question is over. Its reply stays valid until the
 * next start. */
typedef void dns_question_done_fn(struct dns_question *q);

/** Embedded by its owner. Zero-initialised: not running. */
struct dns_question {
    struct dns_way *way;
    dns_question_done_fn *done;
    enum dns_type type;
    bool running;
    bool heard;    /* a server has answered, if only with an error */
    bool short_of; /* this machine lacked descriptors or memory */
    struct dns_query query;
    struct dns_order order;
    size_t next; /* the next server in order */
    int round, aliases;
    double ttl_s; /* the smallest TTL of the followed aliases */
    struct list exchanges;
    unsigned n_exchanges;
    ev_timer timer; /* runs until the next step */
    double started_s;
    struct dns_reply reply; /* valid at the end; DNS_SAYS_NOTHING without a useful answer */
};

/** @param name  valid for the DNS, without a final dot. The way must have a server. */
void dns_question_start(struct dns_question *q, struct dns_way *way, const char *name, enum dns_type type,
                        dns_question_done_fn *done);

/** Stop without calling done; harmless if not running. */
void dns_question_cancel(struct dns_question *q);

/** Whether a server has answered, if only with an error. Valid also while running. */
bool dns_question_is_heard(const struct dns_question *q);

/** The fault at the end: FAULT_NONE with addresses, FAULT_NAME (no such name, or no address of this type),
 * FAULT_DNS, FAULT_RESOURCES. */
enum fault dns_question_fault(const struct dns_question *q);

#endif
