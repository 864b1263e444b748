#include "udp/udp_learned.h"

#include "dns/dns_message.h"
#include "proto/target.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Programs use an address for longer than its TTL allows. */
static const double KEPT_MIN_S = 300;

/* A device may ask by IPv4, and then connect by IPv6, where it has another address. */
static const struct addr ANYBODY = {.sa.sa_family = AF_UNSPEC};

static struct udp_learned_seat *seat_of(const struct udp_learned *l, const struct addr *client,
                                        const struct addr *at)
{
    char data[32];
    size_t n, len;
    const uint8_t *ip = addr_ip(client, &n);

    memcpy(data, ip, n); /* 0 bytes for anybody */
    ip = addr_ip(at, &len);
    memcpy(data + n, ip, len);
    return &l->seats[keyed_hash(&l->key, slice_of(data, n + len)) % UDP_LEARNED_SEATS];
}

static void keep(struct udp_learned *l, const struct addr *client, const struct addr *at, const char *name,
                 double until_s)
{
    struct udp_learned_seat *seat = seat_of(l, client, at);
    char *copy = strdup(name);

    if (!copy)
        return;
    free(seat->name);
    *seat = (struct udp_learned_seat){.client = *client, .at = *at, .until_s = until_s, .name = copy};
}

void udp_learned_hear(struct udp_learned *l, const struct addr *client, const void *data, size_t len,
                      double now)
{
    char name[DNS_NAME_SIZE];
    struct dns_query question;
    struct dns_reply reply;
    struct target host;

    if (!dns_question_of(&question, name, data, len))
        return;
    dns_reply_read(&reply, &question, data, len);
    if (reply.n == 0 || target_set(&host, slice_str(name), 1) != PARSE_OK || host.kind != TARGET_NAME)
        return;
    if (!l->seats && hash_key_make(&l->key) == 0)
        l->seats = calloc(UDP_LEARNED_SEATS, sizeof *l->seats);
    for (size_t i = 0; l->seats && i < reply.n; i++) {
        double until_s = now + fmax(reply.ttl_s, KEPT_MIN_S);
        keep(l, client, &reply.addrs[i], host.host, until_s);
        keep(l, &ANYBODY, &reply.addrs[i], host.host, until_s);
    }
}

static const char *find(const struct udp_learned *l, const struct addr *client, const struct addr *at,
                        double now)
{
    const struct udp_learned_seat *seat = seat_of(l, client, at);
    bool same = seat->name && addr_same_ip(&seat->client, client) && addr_same_ip(&seat->at, at);
    return same && now < seat->until_s ? seat->name : NULL;
}

const char *udp_learned_name(const struct udp_learned *l, const struct addr *client, const struct addr *at,
                             double now)
{
    if (!l->seats)
        return NULL;
    const char *own = find(l, client, at, now);
    return own ? own : find(l, &ANYBODY, at, now);
}

void udp_learned_done(struct udp_learned *l)
{
    for (size_t i = 0; l->seats && i < UDP_LEARNED_SEATS; i++)
        free(l->seats[i].name);
    free(l->seats);
    l->seats = NULL;
}
