/* DNS messages (RFC 1035 4): writes questions and reads answers, with libc's ns_* functions. Pure.
 *
 * Answers come from strangers. An answer must have the question's id and question section. Only its first
 * DNS_RECORDS_MAX records are read, and DNS_ADDRS_MAX addresses kept. */
#ifndef STEERWAY_DNS_DNS_MESSAGE_H
#define STEERWAY_DNS_DNS_MESSAGE_H

#include "addr/addr.h"
#include "base/compiler.h"

enum {
    DNS_NAME_SIZE = 256,  /* as text, with its NUL */
    DNS_QUERY_MAX = 280,  /* header, longest name, type, class */
    DNS_ADDRS_MAX = 16,   /* in one family */
    DNS_RECORDS_MAX = 256 /* read in a section of an answer */
};

enum dns_type { DNS_TYPE_A = 1, DNS_TYPE_AAAA = 28 };

/** A question in wire format. */
struct dns_query {
    uint8_t data[DNS_QUERY_MAX];
    size_t len;
};

enum dns_says {
    DNS_SAYS_NOTHING,   /* not an answer to this question: ignore it */
    DNS_SAYS_ADDRESSES, /* n >= 1 */
    DNS_SAYS_ALIAS,     /* an alias without addresses; they must be asked for */
    DNS_SAYS_NO_DATA,   /* the name exists, without addresses of this type */
    DNS_SAYS_NO_NAME,   /* the name does not exist (NXDOMAIN) */
    DNS_SAYS_FAILED,    /* the server failed (SERVFAIL), or its answer is malformed */
    DNS_SAYS_UNWILLING, /* the server does not serve this client (REFUSED and the like) */
};

struct dns_reply {
    enum dns_says says;
    bool truncated; /* TCP has the whole answer; `says` is about this part: addresses, an alias, or
                       DNS_SAYS_FAILED */
    double ttl_s;   /* the smallest TTL of the records up to the addresses; 0 for a truncated answer (RFC 2181
                       9) */
    size_t n;
    struct addr addrs[DNS_ADDRS_MAX]; /* port 0 */
    char alias[DNS_NAME_SIZE];        /* for DNS_SAYS_ALIAS: its target */
};

/** @param name  valid by dns_name_length, without a final dot @return 0, or -EINVAL for other names */
MUST_CHECK int dns_query_make(struct dns_query *ret, const char *name, enum dns_type type);

/** Set the id; each time it is sent it needs another one. */
void dns_query_set_id(struct dns_query *q, uint16_t id);

/** The question of a message from a server, for dns_reply_read.
 *  @param name  as the message has it
 *  @return false: it has not one question for an address, or one for a name that is not valid (dns_name.h) */
bool dns_question_of(struct dns_query *ret, char name[DNS_NAME_SIZE], const uint8_t *data, size_t len);

/** Read a message as an answer to the question. */
void dns_reply_read(struct dns_reply *ret, const struct dns_query *q, const uint8_t *data, size_t len);

#endif
