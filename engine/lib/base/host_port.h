/* "HOST:PORT" as text, with an IPv6 address in brackets: "[2001:db8::1]:443" (RFC 3986 3.2.2). The caller
 * decides which hosts are valid. */
#ifndef STEERWAY_BASE_HOST_PORT_H
#define STEERWAY_BASE_HOST_PORT_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdint.h>

/** A text that was split; borrows it. */
struct host_port {
    struct slice place; /* the part before the port's colon, with its brackets, if any */
    struct slice host;  /* the same without brackets */
    bool bracketed;
    bool has_port;     /* there is a colon before a port, even if the port is empty */
    struct slice port; /* the part after that colon; empty without one */
};

/** Find the colon before the port: the only one after the last bracket, or in text without brackets. With
 * several colons there is no port, as the last group of an IPv6 address looks like one. */
struct host_port host_port_split(struct slice text);

/** Remove brackets around the whole text. @return whether there were any */
bool host_port_unbracket(struct slice *text);

/** Read a port: decimal digits only. @return 0, -EINVAL, or -ERANGE above 65535 */
MUST_CHECK int host_port_number(struct slice text, uint16_t *ret);

/** Write a host, in brackets if it has a colon. NUL-terminated, and cut to size (> 0). @return its length */
size_t host_port_put_host(char *out, size_t size, struct slice host);

/** Write "host:port" in the same way. @return out */
const char *host_port_format(char *out, size_t size, struct slice host, uint16_t port);

#endif
