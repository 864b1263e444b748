#include "confine/confine_rights.h"

#include "base/compiler.h"

#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

static const uint64_t BIND = 1ULL << CAP_NET_BIND_SERVICE, ADMIN = 1ULL << CAP_NET_ADMIN,
                      RAW = 1ULL << CAP_NET_RAW;
enum { PRIVILEGED_PORTS = 1024 };

/* --- ports ---------------------------------------------------------------------------------------------- */

static long first_free_port(void)
{
    FILE *f = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
    long port;

    if (!f || fscanf(f, "%ld", &port) != 1)
        port = PRIVILEGED_PORTS;
    if (f)
        (void)fclose(f);
    return port;
}

static bool has_low_port(const struct config *c)
{
    const struct listen_place *places[CONFIG_PLACES_MAX];
    const size_t n = config_places(c, places);
    const long first = first_free_port();

    for (size_t i = 0; i < n; i++) {
        const uint16_t port = addr_port(&places[i]->addr);
        if (port > 0 && port < first)
            return true;
    }
    return c->udp.port_low > 0 && c->udp.port_low < first;
}

/* --- marks and devices ---------------------------------------------------------------------------------- */

/* Marks, rules of gateways, tproxy, and the nft of a capture. */
static bool has_marks(const struct config *c)
{
    if (config_own_mark(c) != 0 || c->n_transparents > 0)
        return true;
    for (size_t i = 0; i < c->n_uplinks; i++) {
        const struct uplink_spec *s = &c->uplinks[i];
        if (s->mark != 0 || addr_family(&s->gateway4) != AF_UNSPEC || addr_family(&s->gateway6) != AF_UNSPEC)
            return true;
    }
    return false;
}

/* Since Linux 5.7 (commit c427bfec18f2) any process may bind a socket to a device, if it is not bound yet. */
static bool devices_need_right(void)
{
    struct utsname name;
    int major, minor;

    return uname(&name) == 0 && sscanf(name.release, "%d.%d", &major, &minor) == 2 &&
           (major < 5 || (major == 5 && minor < 7));
}

uint64_t confine_rights_needed(const struct config *c)
{
    return (has_low_port(c) ? BIND : 0) | (has_marks(c) ? ADMIN : 0) | (devices_need_right() ? RAW : 0);
}

/* --- this process --------------------------------------------------------------------------------------- */

uint64_t confine_rights_held(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &head, data) < 0)
        return 0;
    return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

const char *confine_rights_text(uint64_t rights, char out[CONFINE_RIGHTS_TEXT_MAX])
{
    const struct {
        uint64_t right;
        const char *name;
    } known[] = {{BIND, "CAP_NET_BIND_SERVICE"}, {ADMIN, "CAP_NET_ADMIN"}, {RAW, "CAP_NET_RAW"}};
    size_t len = 0;

    (void)snprintf(out, CONFINE_RIGHTS_TEXT_MAX, "none");
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (rights & known[i].right)
            len += (size_t)snprintf(out + len, CONFINE_RIGHTS_TEXT_MAX - len, "%s%s", len ? ", " : "",
                                    known[i].name);
    return out;
}
