#ifndef TESTS_UNIT_PROTO_TARGET_TEXT_H
#define TESTS_UNIT_PROTO_TARGET_TEXT_H

#include "proto/target.h"

#include <stdio.h>

/* "v4 192.0.2.1 80", "name example.com 443"; good until the next call */
static inline const char *target_text(const struct target *t)
{
    static const char *const kinds[] = {[TARGET_NAME] = "name", [TARGET_IPV4] = "v4", [TARGET_IPV6] = "v6"};
    static char text[TARGET_HOST_MAX + 32];

    (void)snprintf(text, sizeof text, "%s %s %d", kinds[t->kind], t->host, t->port);
    return text;
}

#endif
