/* An upstream proxy that serves as an uplink, as its user names it. */
#ifndef STEERWAY_UPLINK_UPSTREAM_SPEC_H
#define STEERWAY_UPLINK_UPSTREAM_SPEC_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdint.h>

enum { UPSTREAM_HOST_MAX = 253, UPSTREAM_SECRET_MAX = 255 };

struct upstream_spec {
    char scheme[8];                   /* "socks5", "socks4a" or "http" */
    char host[UPSTREAM_HOST_MAX + 1]; /* a name or an address, without brackets */
    uint16_t port;
    char user[UPSTREAM_SECRET_MAX + 1], pass[UPSTREAM_SECRET_MAX + 1]; /* "" for none */
};

/** Parse "scheme://[user[:pass]@]host:port"; what is %-encoded in user and pass is decoded (RFC
 * 3986 2.1, 3.2).
 *  @return 0, or -EINVAL with what is wrong in *ret_why, which never repeats what may be a secret */
MUST_CHECK int upstream_spec_parse(struct upstream_spec *ret, struct slice url, const char **ret_why);

/** "socks5://host:port", without user and password. @return out */
enum { UPSTREAM_TEXT_MAX = UPSTREAM_HOST_MAX + 32 };
const char *upstream_spec_format(const struct upstream_spec *s, char out[UPSTREAM_TEXT_MAX]);

/** Overwrite its secrets. */
void upstream_spec_done(struct upstream_spec *s);

#endif
