#include "policy/policy.h"

const char *policy_proto_name(enum policy_proto p)
{
    switch (p) {
    case POLICY_SOCKS4:
        return "socks4";
    case POLICY_SOCKS5:
        return "socks5";
    case POLICY_CONNECT:
        return "connect";
    case POLICY_HTTP:
        return "http";
    }
    return "unknown";
}
