/* A parent proxy on loopback, on the loop of the test. */
#ifndef STEERWAY_TEST_OUTBOUND_DOOR_H
#define STEERWAY_TEST_OUTBOUND_DOOR_H

#include "support/loopback.h"

#include <sys/socket.h>

enum { DOOR_CLIENTS_MAX = 16 };

/* A parent proxy that accepts every request, once it is open. */
struct door {
    struct ev_loop *loop;
    struct addr at;
    ev_io io;
    ev_io clients[DOOR_CLIENTS_MAX];
    size_t n;
    bool shut; /* accepts connections, but answers none until door_open */
};

static inline void on_request(struct ev_loop *loop, ev_io *io, int events)
{
    static const char yes[] = "HTTP/1.1 200 OK\r\n\r\n";
    const struct door *door = io->data;
    char text[1024];

    (void)events;
    if (door->shut)
        return ev_io_stop(loop, io); /* the bytes stay in the socket */
    ssize_t n = recv(io->fd, text, sizeof text - 1, MSG_PEEK | MSG_DONTWAIT);
    text[n > 0 ? n : 0] = '\0';
    if (n > 0 && !strstr(text, "\r\n\r\n"))
        return;
    ev_io_stop(loop, io);
    if (n > 0)
        (void)!send(io->fd, yes, sizeof yes - 1, MSG_NOSIGNAL);
}

static inline void on_client(struct ev_loop *loop, ev_io *io, int events)
{
    struct door *door = container_of(io, struct door, io);
    int fd = accept(io->fd, NULL, NULL);

    (void)events;
    assert_true(fd >= 0 && door->n < DOOR_CLIENTS_MAX);
    ev_io *client = &door->clients[door->n++];
    ev_io_init(client, on_request, fd, EV_READ);
    client->data = door;
    ev_io_start(loop, client);
}

static inline void door_start(struct door *door, struct ev_loop *loop, bool shut)
{
    door->loop = loop;
    door->shut = shut;
    ev_io_init(&door->io, on_client, listen_at_loopback(AF_INET, DOOR_CLIENTS_MAX, &door->at), EV_READ);
    ev_io_start(loop, &door->io);
}

static inline void door_open(struct door *door)
{
    door->shut = false;
    for (size_t i = 0; i < door->n; i++)
        ev_io_start(door->loop, &door->clients[i]);
}

static inline void door_stop(struct door *door)
{
    for (size_t i = 0; i < door->n; i++) {
        ev_io_stop(door->loop, &door->clients[i]);
        (void)close(door->clients[i].fd);
    }
    ev_io_stop(door->loop, &door->io);
    (void)close(door->io.fd);
}

#endif
