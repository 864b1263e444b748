#include "datagram/by_parent.h"

#include "datagram/flow.h"
#include "datagram/mapping.h"
#include "proto/socks_udp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What the client has asked for, or the name in its first datagrams. */
static struct slice name_of(const struct flow *f)
{
    return f->name_len > 0 ? slice_of(f->name, f->name_len) : slice_str(f->host);
}

int by_parent_address(struct flow *f)
{
    const struct addr *dest = &f->answer.dest;
    char header[SOCKS_UDP_NAMED_MAX];
    size_t ip_len;
    const uint8_t *ip = addr_ip(dest, &ip_len);

    if (addr_family(&f->answer.mapping->relay) == AF_UNSPEC)
        return 0;
    f->header_len = f->answer.by_name ? socks_udp_write_name(header, name_of(f), f->to_port)
                                      : socks_udp_write(header, ip, ip_len, addr_port(dest));
    f->header = malloc(f->header_len);
    if (!f->header)
        return -ENOMEM;
    memcpy(f->header, header, f->header_len);
    return 0;
}

/* A name as the source is malformed here: the client is told addresses. */
bool by_parent_strip(struct slice *datagram, struct addr *ret_source, enum datagram_drop *ret_why)
{
    struct socks_udp udp;
    bool valid = socks_udp_parse(&udp, datagram->data, datagram->len) == PARSE_OK && udp.ip_len > 0 &&
                 addr_from_ip(ret_source, udp.ip, udp.ip_len, udp.port) == 0;

    *ret_why = valid ? DROP_FRAGMENT : DROP_MALFORMED;
    if (!valid || udp.frag != 0)
        return false;
    *datagram = slice_of(datagram->data + udp.consumed, datagram->len - udp.consumed);
    return true;
}

struct contact *by_parent_contact(struct mapping *m, const struct addr *source)
{
    struct addr any = {.sa.sa_family = AF_INET};

    addr_set_port(&any, addr_port(source));
    return contacts_find(&m->contacts, &any);
}
