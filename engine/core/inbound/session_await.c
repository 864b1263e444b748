/* Sessions whose client awaits a peer (BIND of SOCKS). */
#include "inbound/front.h"

void session_stop_waiting(struct session *s, const char *outcome)
{
    outbound_finish(s->outbound, outcome);
    s->outbound = NULL;
    s->front->connected(s, FAULT_RESOURCES, "");
}

static void on_listening(struct outbound *o, const struct addr *at)
{
    struct session *s = o->owner;

    session_enter(s, SESSION_AWAITING);
    if (s->client_ended)
        return session_close(s, NULL);
    if (s->proxy->draining && !s->proxy->yielded)
        return session_stop_waiting(s, "shutdown");
    s->front->listening(s, at);
}

void session_await(struct session *s, const struct target *peer, enum policy_proto proto)
{
    session_start_outbound(
        s, &(struct outbound_request){.target = peer, .proto = proto, .listening = on_listening});
}
