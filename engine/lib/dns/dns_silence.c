#include "dns/dns_silence.h"

#include "dns/dns_name.h"

#include <string.h>

static const double CHECK_EVERY_S = 1;

static void restart(struct dns_silence *s)
{
    s->answers++;
    s->n_zones = 0;
    s->check_failed = false;
}

void dns_silence_answered(struct dns_silence *s, struct slice name, double ttl_s, double now)
{
    restart(s);
    if (ttl_s < 0 || name.len >= sizeof s->good)
        return;
    memcpy(s->good, name.data, name.len);
    s->good[name.len] = '\0';
    s->good_until = now + ttl_s;
}

static struct slice zone_of(struct slice name)
{
    size_t dots = 0;

    for (size_t i = name.len; i > 0; i--)
        if (name.data[i - 1] == '.' && ++dots == 2)
            return slice_of(name.data + i, name.len - i);
    return name;
}

static bool is_new(struct dns_silence *s, uint64_t zone)
{
    for (size_t i = 0; i < s->n_zones; i++)
        if (s->zones[i] == zone)
            return false;
    if (s->n_zones < DNS_SILENCE_ZONES)
        s->zones[s->n_zones++] = zone;
    return true;
}

bool dns_silence_counts(struct dns_silence *s, struct slice name, uint64_t answers_before)
{
    if (s->answers != answers_before)
        return false;
    return is_new(s, dns_name_hash(zone_of(name))) || s->check_failed;
}

const char *dns_silence_check(struct dns_silence *s, double now)
{
    if (s->checked_at > 0 && now < s->checked_at + CHECK_EVERY_S)
        return NULL;
    s->checked_at = now;
    s->check_proves = s->good[0] && now >= s->good_until;
    return s->good;
}

/* An answer from a cache on the way, such as a router's, proves nothing about the servers behind it. */
void dns_silence_checked(struct dns_silence *s, bool answered)
{
    s->check_failed = !answered;
    if (answered && s->check_proves)
        restart(s);
}
