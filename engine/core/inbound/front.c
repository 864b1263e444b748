#include "inbound/front.h"

const struct front *front_of(const struct front *const *fronts, unsigned char first_byte)
{
    for (; *fronts; fronts++)
        if ((*fronts)->first_byte == first_byte || (*fronts)->first_byte == FRONT_ANY_BYTE)
            return *fronts;
    return NULL;
}
