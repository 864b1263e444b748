/* DNS messages (RFC 1035 4): the question that is sent, and what an answer says of it. The octets are read by
 * libc's ns_* functions. Pure.
 *
 * An answer comes from a stranger: it counts only with the question's own id and question section, no more
 * than DNS_RECORDS_MAX of its records are looked at, and of its addresses no more than DNS_ADDRS_MAX are
 * kept. */
#ifndef STEERWAY_DNS_DNS_MESSAGE_H
#define STEERWAY_DNS_DNS_MESSAGE_H

#include "addr/addr.h"
#include "base/compiler.h"

enum {
    DNS_NAME_SIZE = 256,  /* as text, with its NUL */
    DNS_QUERY_MAX = 280,  /* header, longest name, type, class */
    DNS_ADDRS_MAX = 16,   /* of one family */
    DNS_RECORDS_MAX = 256 /* looked at in an answer's section */
};

enum dns_type { DNS_TYPE_A = 1, DNS_TYPE_AAAA = 28 };

/** A question as it is sent. */
struct dns_query {
    uint8_t data[DNS_QUERY_MAX];
    size_t len;
};

enum dns_says {
    DNS_SAYS_NOTHING,   /* no answer to this question: to be passed over */
    DNS_SAYS_ADDRESSES, /* n >= 1 */
    DNS_SAYS_ALIAS,     /* an alias whose own addresses the server did not add */
    DNS_SAYS_NO_DATA,   /* the name exists, without an address of this type */
    DNS_SAYS_NO_NAME,   /* the name does not exist (NXDOMAIN) */
    DNS_SAYS_FAILED,    /* the server tried in vain (SERVFAIL), or wrote what cannot be read */
    DNS_SAYS_UNWILLING, /* the server does not serve us (REFUSED and the like) */
};

struct dns_reply {
    enum dns_says says;
    bool truncated; /* there is more, to be had over TCP; the rest tells of what is here: addresses, an alias,
                       or DNS_SAYS_FAILED */
    double ttl_s;   /* the least of the records that led to the addresses; 0 for part of them (RFC 2181 9) */
    size_t n;
    struct addr addrs[DNS_ADDRS_MAX]; /* port 0 */
    char alias[DNS_NAME_SIZE];        /* for DNS_SAYS_ALIAS: where it leads */
};

/** @param name  fit for the DNS (dns_name_length), without a final dot @return 0, -EINVAL for one that is not
 */
MUST_CHECK int dns_query_make(struct dns_query *ret, const char *name, enum dns_type type);

/** Each time that it is sent it has another id. */
void dns_query_set_id(struct dns_query *q, uint16_t id);

/** What a message says of the question. */
void dns_reply_read(struct dns_reply *ret, const struct dns_query *q, const uint8_t *data, size_t len);

#endif
