/* How a fault is told to a client: the SOCKS reply, the HTTP status and its Proxy-Status error. */
#ifndef STEERWAY_INBOUND_REPLY_H
#define STEERWAY_INBOUND_REPLY_H

#include "base/fault.h"
#include "proto/socks4.h"
#include "proto/socks5.h"

/** @see RFC 1928 s.6 */
enum socks5_reply_code reply_socks5(enum fault fault);
/** SOCKS4 knows granted and rejected only. */
uint8_t reply_socks4(enum fault fault);

struct reply_http {
    int status;
    const char *error; /* RFC 9209 2.3 */
    const char *text;  /* one line for a person */
};
struct reply_http reply_http(enum fault fault);

enum { REPLY_REFUSAL_MAX = 256 };
/** One line for a person: why the policy refuses. The reason may hold what strangers have said: control
 *  characters, and bytes that are not UTF-8, become '?', and what is too long is cut. */
void reply_refusal(char out[REPLY_REFUSAL_MAX], const char *reason);

#endif
