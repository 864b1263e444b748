/* Answers to a client for a fault: the SOCKS reply, the HTTP status and its Proxy-Status error. */
#ifndef STEERWAY_INBOUND_REPLY_H
#define STEERWAY_INBOUND_REPLY_H

#include "base/fault.h"
#include "proto/socks4.h"
#include "proto/socks5.h"

/** @see RFC 1928 s.6 */
enum socks5_reply_code reply_socks5(enum fault fault);
/** SOCKS4 has only "granted" and "rejected". */
uint8_t reply_socks4(enum fault fault);

struct reply_http {
    int status;
    const char *error; /* RFC 9209 2.3 */
    const char *text;  /* one line for a person */
};
struct reply_http reply_http(enum fault fault);

enum { REPLY_REFUSAL_MAX = 256 };
/** The policy's reason for a refusal, as one line. It may contain input of strangers: control characters,
 * and bytes that are not UTF-8, become '?'; a long text is cut. */
void reply_refusal(char out[REPLY_REFUSAL_MAX], const char *reason);

#endif
