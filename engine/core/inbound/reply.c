#include "inbound/reply.h"

#include "base/utf8.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum socks5_reply_code reply_socks5(enum fault fault)
{
    switch (fault) {
    case FAULT_NONE:
        return SOCKS5_SUCCEEDED;
    case FAULT_TIMEOUT:
    case FAULT_EXPIRED:
        return SOCKS5_TTL_EXPIRED;
    case FAULT_REFUSED:
    case FAULT_RESET:
        return SOCKS5_REFUSED;
    case FAULT_NAME:
    case FAULT_DNS:
    case FAULT_HOST:
        return SOCKS5_HOST_UNREACHABLE;
    case FAULT_UNREACHABLE:
    case FAULT_PARENT:
    case FAULT_NO_UPLINK:
        return SOCKS5_NETWORK_UNREACHABLE;
    case FAULT_DENIED:
    case FAULT_REJECTED:
    case FAULT_LIMIT:
        return SOCKS5_NOT_ALLOWED;
    case FAULT_BIND:
    case FAULT_FAILED:
    case FAULT_RESOURCES:
    case FAULT_BUSY:
        break;
    }
    return SOCKS5_GENERAL_FAILURE;
}

uint8_t reply_socks4(enum fault fault)
{
    return fault == FAULT_NONE ? SOCKS4_GRANTED : SOCKS4_REJECTED;
}

struct reply_http reply_http(enum fault fault)
{
    switch (fault) {
    case FAULT_NONE:
        return (struct reply_http){200, NULL, "ok"};
    case FAULT_TIMEOUT:
        return (struct reply_http){504, "connection_timeout", "The destination did not answer in time."};
    case FAULT_REFUSED:
        return (struct reply_http){502, "connection_refused", "The destination refused the connection."};
    case FAULT_RESET:
        return (struct reply_http){502, "connection_terminated", "The destination broke the connection."};
    case FAULT_NAME:
        return (struct reply_http){502, "dns_error", "The destination's name does not exist."};
    case FAULT_DNS:
        return (struct reply_http){502, "dns_timeout", "The destination's name could not be resolved."};
    case FAULT_UNREACHABLE:
    case FAULT_HOST:
        return (struct reply_http){502, "destination_unavailable", "The destination cannot be reached."};
    case FAULT_DENIED:
        return (struct reply_http){403, "destination_ip_prohibited", "This destination is not allowed."};
    case FAULT_NO_UPLINK:
        return (struct reply_http){503, "destination_unavailable", "No usable uplink is up."};
    case FAULT_PARENT:
        return (struct reply_http){502, "destination_unavailable",
                                   "The uplink's parent proxy does not serve."};
    case FAULT_REJECTED:
        return (struct reply_http){403, "destination_ip_prohibited",
                                   "The uplink's parent proxy does not allow this destination."};
    case FAULT_EXPIRED:
        return (struct reply_http){504, "connection_timeout",
                                   "The destination did not answer the parent proxy in time."};
    case FAULT_FAILED:
        return (struct reply_http){502, "destination_unavailable",
                                   "The uplink's parent proxy could not reach the destination."};
    case FAULT_BIND:
        return (struct reply_http){503, "proxy_internal_error", "No uplink could be bound."};
    case FAULT_RESOURCES:
        return (struct reply_http){503, "proxy_internal_error", "The proxy is out of resources."};
    case FAULT_LIMIT:
        return (struct reply_http){429, "http_request_denied", "This client has too many connections."};
    case FAULT_BUSY:
        return (struct reply_http){503, "http_request_denied", "The proxy serves no more connections."};
    }
    return (struct reply_http){500, "proxy_internal_error", "Internal error."};
}

void reply_refusal(char out[REPLY_REFUSAL_MAX], const char *reason)
{
    size_t at = (size_t)snprintf(out, REPLY_REFUSAL_MAX, "This destination is not allowed: ");

    for (struct slice rest = slice_str(reason); rest.len > 0;) {
        size_t len = utf8_len(rest);
        bool plain = len > 1 || (len == 1 && (unsigned char)*rest.data >= 0x20 && *rest.data != 0x7f);
        if (len == 0)
            len = 1;
        if (at + len >= REPLY_REFUSAL_MAX)
            break;
        if (plain)
            memcpy(out + at, rest.data, len);
        else
            out[at] = '?';
        at += plain ? len : 1;
        rest = slice_of(rest.data + len, rest.len - len);
    }
    out[at] = '\0';
}
