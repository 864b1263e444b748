#include "udp/udp_state.h"

#include <errno.h>
#include <stdlib.h>

int udp_room_add(struct udp *u, struct ev_loop *loop)
{
    struct datagram_room *room = calloc(1, sizeof *room);
    int err = room ? datagram_room_init(room, loop, &u->news) : -ENOMEM;

    if (err < 0) {
        free(room);
        return err;
    }
    u->rooms[u->n_rooms++] = room;
    return 0;
}

void udp_room_drop(struct udp *u)
{
    struct datagram_room *room = u->rooms[--u->n_rooms];

    datagram_room_done(room);
    free(room);
}

struct datagram_room *udp_room(struct udp *u)
{
    if (u->n_rooms == 0 && udp_room_add(u, u->loop) < 0)
        return NULL; /* without workers, the main loop has the only room */
    struct datagram_room *least = u->rooms[0];
    for (size_t i = 1; i < u->n_rooms; i++)
        if (u->rooms[i]->n_ports < least->n_ports)
            least = u->rooms[i];
    return least;
}
