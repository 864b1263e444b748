/* The client's side of the dialogue with a parent proxy, until it has connected: SOCKS5 (RFC 1928, 1929),
 * SOCKS4a and HTTP CONNECT (RFC 9110 9.3.6). Or until it relays datagrams: UDP ASSOCIATE of SOCKS5. Bytes in,
 * bytes out; the caller has the socket. */
#ifndef STEERWAY_PROTO_PARENT_TALK_H
#define STEERWAY_PROTO_PARENT_TALK_H

#include "base/fault.h"
#include "proto/target.h"

enum parent_protocol { PARENT_SOCKS5, PARENT_SOCKS4A, PARENT_HTTP };

enum { PARENT_OUT_MAX = 1536, PARENT_IN_MAX = 8192, PARENT_CREDENTIAL_MAX = 255 };

/** Borrowed text, which must outlive the talk. */
struct parent_talk_request {
    enum parent_protocol protocol;
    const struct target *target; /* with SOCKS4a not an IPv6 address */
    bool datagrams;              /* UDP ASSOCIATE, without a target; PARENT_SOCKS5 only */
    const char *user, *pass;     /* "" for none; at most PARENT_CREDENTIAL_MAX bytes each */
};

/** Where a parent proxy takes datagrams. All zero bytes of the address mean its own address. */
struct parent_relay {
    uint8_t ip[16];
    uint8_t ip_len; /* 4 or 16 */
    uint16_t port;  /* not 0 */
};

enum parent_step { PARENT_HELLO, PARENT_AUTH, PARENT_REQUEST, PARENT_OVER };

struct parent_talk {
    struct parent_talk_request request;
    enum parent_step step;     /* the request whose answer is awaited */
    enum fault fault;          /* valid at the end */
    bool unsupported;          /* valid at the end: it does not know the command */
    struct parent_relay relay; /* valid at the end of FAULT_NONE, for datagrams */
    char out[PARENT_OUT_MAX];
    size_t out_len; /* bytes to send now */
    char in[PARENT_IN_MAX];
    size_t in_len;
};

/** Begin; then send out. */
void parent_talk_begin(struct parent_talk *t, const struct parent_talk_request *request);

/** How many of the received bytes belong to the talk; the rest is the destination's.
 *  @param n  >= 1
 *  @return 1..n */
size_t parent_talk_share(const struct parent_talk *t, const char *data, size_t n);

/** Take received bytes, no more than their share; then send out, if out_len > 0.
 *  @return whether the talk is over. With FAULT_NONE the destination is connected, or it relays datagrams.
 * FAULT_REFUSED,
 *  FAULT_UNREACHABLE, FAULT_HOST, FAULT_EXPIRED, FAULT_REJECTED and FAULT_FAILED are the parent proxy's
 *  answers about the destination. With FAULT_PARENT it rejects the credentials, or does not speak the
 *  protocol. */
bool parent_talk_take(struct parent_talk *t, const char *data, size_t n);

#endif
