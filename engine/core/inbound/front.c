#include "inbound/front.h"

/* The front that accepts any first byte comes last. */
static const struct front *const FRONTS[] = {&FRONT_SOCKS4, &FRONT_SOCKS5, &FRONT_HTTP};

const struct front *front_of(unsigned char first_byte)
{
    for (size_t i = 0; i < ARRAY_LEN(FRONTS); i++)
        if (FRONTS[i]->first_byte == first_byte || FRONTS[i]->first_byte == FRONT_ANY_BYTE)
            return FRONTS[i];
    return NULL;
}
