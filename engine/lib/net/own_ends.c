#include "net/own_ends.h"

#include "base/clock.h"

/* Longer than the main loop may be busy before it accepts. Later the ports may belong to another program. */
static const double LATELY_S = 5;

void own_ends_note(struct own_ends *e, int fd, const struct addr *to)
{
    struct sockaddr_storage local;
    socklen_t len = sizeof local;
    struct addr from;

    if (getsockname(fd, (struct sockaddr *)&local, &len) < 0 ||
        addr_from_sockaddr(&from, (struct sockaddr *)&local, len) < 0)
        return;
    e->seats[addr_port(&from) % OWN_ENDS_SEATS] =
        (struct own_end){.from = from, .to = *to, .at_s = clock_coarse_s()};
}

bool own_ends_have(const struct own_ends *e, const struct addr *from, const struct addr *to)
{
    const struct own_end *seat = &e->seats[addr_port(from) % OWN_ENDS_SEATS];

    return seat->at_s > 0 && clock_coarse_s() - seat->at_s < LATELY_S &&
           addr_port(&seat->from) == addr_port(from) && addr_port(&seat->to) == addr_port(to) &&
           addr_same_ip(&seat->from, from) && addr_same_ip(&seat->to, to);
}
