#include "datagram/replies.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

static struct reply_socket **bucket_of(struct replies *r, const struct addr *at)
{
    size_t len;
    const uint8_t *ip = addr_ip(at, &len);
    unsigned hash = addr_port(at);

    for (size_t i = 0; i < len; i++)
        hash = hash * 31 + ip[i];
    return &r->buckets[hash % REPLIES_BUCKETS];
}

static void drop(struct replies *r, struct reply_socket *s)
{
    struct reply_socket **at = bucket_of(r, &s->at);

    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    list_remove(&s->node);
    (void)close(s->socket.fd);
    free(s);
    r->n--;
}

/* Several sockets may be bound to one address: others of this machine's programs may answer from it as well.
 * SO_REUSEPORT lets it stand beside a socket of ours that has the port at every address (replies_beside). */
static int bind_to(const struct addr *at, uint32_t mark)
{
    const int on = 1;
    bool six = addr_family(at) == AF_INET6;
    int fd = socket(addr_family(at), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0 &&
        setsockopt(fd, six ? SOL_IPV6 : SOL_IP, six ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on, sizeof on) ==
            0 &&
        (mark == 0 || setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0) &&
        bind(fd, &at->sa, addr_len(at)) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

void replies_beside(int fd)
{
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int));
}

struct batch_socket *replies_from(struct replies *r, const struct addr *at, struct batch_out *out)
{
    struct reply_socket **bucket = bucket_of(r, at), *s = *bucket;

    if (!r->used.next)
        list_init(&r->used);
    while (s && !(addr_port(&s->at) == addr_port(at) && addr_same_ip(&s->at, at)))
        s = s->next;
    if (s) {
        list_remove(&s->node);
        list_push_back(&r->used, &s->node);
        return &s->socket;
    }
    if (r->n == REPLIES_MAX) {
        batch_flush(out);
        drop(r, container_of(r->used.next, struct reply_socket, node));
    }
    int fd = bind_to(at, r->mark);
    s = fd < 0 ? NULL : calloc(1, sizeof *s);
    if (!s) {
        if (fd >= 0)
            (void)close(fd);
        return NULL;
    }
    s->at = *at;
    s->socket.fd = fd;
    (void)batch_keep_whole(&s->socket, addr_family(at)); /* without it, the kernel sends fragments */
    s->next = *bucket;
    *bucket = s;
    list_push_back(&r->used, &s->node);
    r->n++;
    return &s->socket;
}

void replies_done(struct replies *r)
{
    while (r->n > 0)
        drop(r, container_of(r->used.next, struct reply_socket, node));
}
