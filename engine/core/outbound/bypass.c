#include "outbound/bypass.h"

#include <string.h>

const char BYPASS_REASON[] = "bypass";

static bool is_localhost(const struct target *t)
{
    static const char suffix[] = ".localhost";
    size_t n = strlen(t->host), tail = sizeof suffix - 1;

    return t->kind == TARGET_NAME &&
           (strcmp(t->host, suffix + 1) == 0 || (n > tail && strcmp(t->host + n - tail, suffix) == 0));
}

bool bypass_known_address(const struct target *t, struct addr *ret)
{
    static const uint8_t loopback[] = {127, 0, 0, 1};

    if (is_localhost(t))
        return addr_from_ip(ret, loopback, sizeof loopback, t->port) == 0;
    if (t->kind == TARGET_NAME || addr_from_ip(ret, t->ip, t->kind == TARGET_IPV4 ? 4 : 16, t->port) < 0)
        return false;
    addr_name_this_machine(ret);
    return true;
}

enum bypass bypass_of_address(const struct outbound_settings *settings, const struct addr *to)
{
    if (cidr_set_contains(settings->bypass, to))
        return BYPASS_LISTED;
    return cidr_set_contains(settings->local, to) ? BYPASS_LOCAL : BYPASS_NOT;
}

enum bypass bypass_of(const struct outbound_settings *settings, const struct target *t)
{
    struct addr to;

    if (!bypass_known_address(t, &to))
        return BYPASS_NOT;
    enum bypass b = bypass_of_address(settings, &to);
    return b != BYPASS_NOT && t->kind == TARGET_NAME ? BYPASS_LOCALHOST : b;
}

const char *bypass_text(enum bypass b)
{
    static const char *const texts[] = {
        [BYPASS_NOT] = "an uplink serves it",
        [BYPASS_LISTED] = "it is in a range of --bypass",
        [BYPASS_LOCAL] = "it is this machine or a neighbour",
        [BYPASS_LOCALHOST] = "its name means this machine",
    };
    return texts[b];
}
