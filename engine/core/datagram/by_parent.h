/* Datagrams by a parent proxy (SOCKS5 UDP ASSOCIATE): the header that tells their destination or source. */
#ifndef STEERWAY_DATAGRAM_BY_PARENT_H
#define STEERWAY_DATAGRAM_BY_PARENT_H

#include "addr/addr.h"
#include "base/compiler.h"
#include "base/slice.h"
#include "datagram/datagram_room.h"

struct contact;
struct flow;
struct mapping;

/** A flow has its answer: make the header of its datagrams, if its mapping goes by a parent proxy.
 *  @return 0, -ENOMEM */
MUST_CHECK int by_parent_address(struct flow *f);

/** Take the header from a datagram of the relay. @return false: it has to be dropped, and why */
bool by_parent_strip(struct slice *datagram, struct addr *ret_source, enum datagram_drop *ret_why);

/** The contact for a source that the client has not sent to by its address: names that the parent proxy
 * resolves. Which addresses they have, only that proxy knows, so any source is taken for theirs.
 *  @return NULL: none */
struct contact *by_parent_contact(struct mapping *m, const struct addr *source);

#endif
