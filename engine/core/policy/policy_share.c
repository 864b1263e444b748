#include "policy/policy_share.h"

#include <math.h>

bool policy_share_open(struct policy_share *s, double room_s, double now_s)
{
    if (s->spent_s == 0)
        return true;
    s->spent_s = fmax(0, s->spent_s - fmax(0, now_s - s->at_s));
    s->at_s = now_s;
    if (s->spent_s <= room_s / 2)
        s->rests = false;
    return !s->rests;
}

bool policy_share_take(struct policy_share *s, double room_s, double used_s, double now_s)
{
    s->spent_s += used_s;
    s->at_s = now_s;
    if (s->rests || s->spent_s < room_s)
        return false;
    s->rests = true;
    return true;
}

double policy_share_rest_s(const struct policy_share *s, double room_s)
{
    return s->rests ? fmax(0, s->spent_s - room_s / 2) : 0;
}
