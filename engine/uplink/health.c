#include "uplink/health.h"

bool health_answered(struct health *h)
{
    bool was_suspect = h->silences >= HEALTH_SILENCES;

    h->silences = 0;
    return was_suspect;
}

bool health_silent(struct health *h, double received, double now)
{
    if (received > h->received)
        h->silences = 0;
    h->received = received;
    h->silences++;
    if (h->silences == HEALTH_SILENCES)
        h->retry_at = now + HEALTH_RETRY_S;
    return h->silences == HEALTH_SILENCES;
}

void health_tried(struct health *h, double now)
{
    if (now >= h->retry_at)
        h->retry_at = now + HEALTH_RETRY_S;
}
