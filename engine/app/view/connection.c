#include "view/connection.h"

#include "inbound/session.h"

static bool is_mapping(const struct outbound *o)
{
    return o->proto == POLICY_UDP;
}

const char *connection_state(const struct outbound *o)
{
    if (is_mapping(o))
        return udp_mapping_state(o);
    const struct session *s = o->owner;
    if (s->is_cut || s->state == SESSION_ENDING || s->state == SESSION_RESETTING)
        return "ending";
    if (!o->connected)
        return o->listens ? "awaiting" : "connecting";
    return s->state == SESSION_READING ? "kept" : "open";
}

bool connection_close(struct outbound *o)
{
    if (is_mapping(o))
        return udp_mapping_close(o, CLOSED_BY_USER);
    struct session *s = o->owner;
    if (s->is_cut)
        return false;
    session_close_cut_off(s, CLOSED_BY_USER);
    return true;
}
