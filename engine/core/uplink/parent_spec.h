/* A parent proxy that serves as an uplink, as the user names it. */
#ifndef STEERWAY_UPLINK_PARENT_SPEC_H
#define STEERWAY_UPLINK_PARENT_SPEC_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdint.h>

enum { PARENT_HOST_MAX = 253, PARENT_SECRET_MAX = 255 };

struct parent_spec {
    char scheme[8];                 /* "socks5", "socks4a" or "http" */
    char host[PARENT_HOST_MAX + 1]; /* a name or an address, without brackets */
    uint16_t port;
    char user[PARENT_SECRET_MAX + 1], pass[PARENT_SECRET_MAX + 1]; /* both "" if absent */
};

/** Parse "scheme://[user[:pass]@]host:port". %-encoding in user and pass is decoded (RFC 3986 2.1, 3.2).
 *  @return 0, or -EINVAL with the reason in *ret_why, which never contains a possible secret */
MUST_CHECK int parent_spec_parse(struct parent_spec *ret, struct slice url, const char **ret_why);

/** "socks5://host:port", without user and password. An IPv6 host is in brackets. @return out */
enum { PARENT_TEXT_MAX = PARENT_HOST_MAX + 32 };
const char *parent_spec_format(const struct parent_spec *s, char out[PARENT_TEXT_MAX]);

/** Overwrite user and password. */
void parent_spec_done(struct parent_spec *s);

#endif
