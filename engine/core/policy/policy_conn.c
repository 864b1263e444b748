#include "policy/policy.h"

#include <string.h>

const char *policy_proto_name(enum policy_proto p)
{
    switch (p) {
    case POLICY_SOCKS4:
        return "socks4";
    case POLICY_SOCKS5:
        return "socks5";
    case POLICY_CONNECT:
        return "connect";
    case POLICY_UDP:
        return "udp";
    case POLICY_HTTP:
        return "http";
    case POLICY_FORWARD:
        return "forward";
    case POLICY_TRANSPARENT:
        return "transparent";
    }
    return "unknown";
}

bool policy_proto_parse(const char *name, enum policy_proto *ret)
{
    for (int p = POLICY_SOCKS4; p <= POLICY_TRANSPARENT; p++) {
        if (strcmp(policy_proto_name((enum policy_proto)p), name) != 0)
            continue;
        *ret = (enum policy_proto)p;
        return true;
    }
    return false;
}

const struct policy_origin POLICY_ORIGIN_MADE_UP = {
    .proto = POLICY_SOCKS5,
    .client = "192.0.2.2",
    .listener = "127.0.0.1:1080",
};

const struct policy_attempt POLICY_ATTEMPT_FIRST = {.number = 1};

void policy_conn_init(struct policy_conn *ret, uint64_t id, const struct policy_destination *to,
                      const struct policy_origin *from, const struct policy_attempt *at)
{
    *ret = (struct policy_conn){
        .id = id,
        .host = to->host,
        .address = to->address,
        .port = to->port,
        .race = at->race,
        .bind = from->bind,
        .proto = from->proto,
        .client = from->client,
        .user = from->user,
        .listener = from->listener,
        .attempt = at->number,
        .last_error = at->last_error,
    };
}
