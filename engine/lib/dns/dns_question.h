/* The question for a name's addresses of one family, to the servers of a way: the best of them first (see
 * dns_scores.h), the next one when it fails or is not heard of in time, and all of them again, three rounds
 * in all. The first useful answer ends it. An alias without addresses is followed by another question. */
#ifndef STEERWAY_DNS_DNS_QUESTION_H
#define STEERWAY_DNS_DNS_QUESTION_H

#include "base/fault.h"
#include "dns/dns_message.h"
#include "dns/dns_way.h"

struct dns_question;

/** Called once, never from within dns_question_start. The question is over, and its reply holds until it is
 *  started again. */
typedef void dns_question_done_fn(struct dns_question *q);

/** Embedded by its owner; zero-initialised is "not under way". */
struct dns_question {
    struct dns_way *way;
    dns_question_done_fn *done;
    enum dns_type type;
    bool running;
    bool heard;    /* a server has said something */
    bool short_of; /* this machine lacks descriptors or memory */
    struct dns_query query;
    struct dns_order order;
    size_t next; /* in the order */
    int round, aliases;
    double ttl_s; /* the least of the aliases that were followed */
    struct list exchanges;
    unsigned n_exchanges;
    ev_timer timer; /* until the next step */
    double started_s;
    struct dns_reply reply; /* once it is over; says nothing where no server said anything of use */
};

/** @param name  without a final dot, fit for the DNS. The way has one server at least. */
void dns_question_start(struct dns_question *q, struct dns_way *way, const char *name, enum dns_type type,
                        dns_question_done_fn *done);

/** Stop without calling done; harmless when it is not under way. */
void dns_question_cancel(struct dns_question *q);

/** Whether a server has said something, be it of no use. Also while it is under way. */
bool dns_question_is_heard(const struct dns_question *q);

/** What an end without addresses means: FAULT_NAME (no such name, or no address of this type), FAULT_DNS,
 *  FAULT_RESOURCES. */
enum fault dns_question_fault(const struct dns_question *q);

#endif
