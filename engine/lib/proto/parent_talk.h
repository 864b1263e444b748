/* What is said to an parent proxy until it has a way to the destination: the client's side of SOCKS5 (RFC
 * 1928, 1929), SOCKS4a and HTTP CONNECT (RFC 9110 9.3.6). Octets in, octets out; whoever has the socket
 * carries them. */
#ifndef STEERWAY_PROTO_PARENT_TALK_H
#define STEERWAY_PROTO_PARENT_TALK_H

#include "base/fault.h"
#include "proto/target.h"

enum parent_protocol { PARENT_SOCKS5, PARENT_SOCKS4A, PARENT_HTTP };

enum { PARENT_OUT_MAX = 1536, PARENT_IN_MAX = 8192, PARENT_CREDENTIAL_MAX = 255 };

/** Text borrowed; it outlives the talk. */
struct parent_talk_request {
    enum parent_protocol protocol;
    const struct target *target; /* SOCKS4a: no IPv6 address */
    const char *user, *pass;     /* "" for none; no more than PARENT_CREDENTIAL_MAX octets each */
};

enum parent_step { PARENT_HELLO, PARENT_AUTH, PARENT_REQUEST, PARENT_OVER };

struct parent_talk {
    struct parent_talk_request request;
    enum parent_step step; /* what is waited for: the answer to this */
    enum fault fault;      /* when it is over */
    char out[PARENT_OUT_MAX];
    size_t out_len; /* to be sent now */
    char in[PARENT_IN_MAX];
    size_t in_len;
};

/** Begin: out is to be sent. */
void parent_talk_begin(struct parent_talk *t, const struct parent_talk_request *request);

/** How many of the octets that are there to be read belong to the talk; what follows is the destination's.
 *  @return 1..n; n >= 1 */
size_t parent_talk_share(const struct parent_talk *t, const char *data, size_t n);

/** Take octets, no more than their share; out is then to be sent, if there is any.
 *  @return whether it is over: with FAULT_NONE the destination is reached. FAULT_REFUSED,
 * FAULT_UNREACHABLE, FAULT_HOST, FAULT_EXPIRED, FAULT_REJECTED and FAULT_FAILED are what the parent proxy
 * says of the destination, or its rules of us; FAULT_PARENT: it wants other credentials, or does not speak
 * the protocol */
bool parent_talk_take(struct parent_talk *t, const char *data, size_t n);

#endif
