#include "captured/forward.h"

static void forward_begin(struct session *s)
{
    const struct target *to = s->listener->use.setting;

    session_connect(s, to, POLICY_FORWARD, &s->in);
}

static void forward_connected(struct session *s, enum fault fault, const char *refusal)
{
    (void)refusal;
    if (fault == FAULT_NONE)
        return session_tunnel(s);
    session_reset_on_close(s);
    session_close(s, NULL);
}

const struct front FRONT_FORWARD = {
    .name = "forward",
    .first_byte = FRONT_NO_BYTE,
    .begin = forward_begin,
    .connected = forward_connected,
};
