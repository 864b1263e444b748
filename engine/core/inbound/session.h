/* A session: one client connection, from accept to close. It owns the client's socket, its buffers and the
 * state. Fronts (socks.c, http.c) stand above it and interpret the bytes; the session calls them by the
 * structs of front.h. session.c, session_await.c and session_reset.c have what a session offers to
 * them, session_state.c the states and their time limits, and session_events.c reacts to events. */
#ifndef STEERWAY_INBOUND_SESSION_H
#define STEERWAY_INBOUND_SESSION_H

#include "base/buf.h"
#include "base/fault.h"
#include "base/list.h"
#include "inbound/proxy.h"
#include "outbound/outbound.h"
#include "relay/tunnel.h"

#include <ev.h>

enum session_state {
    SESSION_READING,    /* a request is expected or incomplete */
    SESSION_SLOWED,     /* an answer or a check is delayed, since the client was refused often */
    SESSION_CONNECTING, /* the outbound connection is being made */
    SESSION_AWAITING,   /* a peer may connect, and the client knows where */
    SESSION_EXCHANGE,   /* a plain HTTP request is in progress */
    SESSION_REPLYING,   /* the last bytes before a tunnel are being sent */
    SESSION_TUNNEL,     /* the tunnel has both sockets */
    SESSION_ASSOCIATED, /* its UDP port serves, for as long as this connection lives */
    SESSION_ENDING,     /* a last answer is being sent; then the client's FIN is awaited */
    SESSION_RESETTING,  /* the client is to be reset, after it has read the bytes before that */
    SESSION_CLOSED,     /* closed, about to be freed */
};

struct exchange;
struct front;

struct session {
    struct list node; /* in the proxy's sessions, or its dead */
    struct proxy *proxy;
    enum session_state state;
    const struct front *front; /* NULL: the first byte, which chooses it, has not come yet */
    uint8_t step;              /* the front's own progress */
    uint8_t refusals;          /* refusals in a row (front HTTP) */
    bool client_ended : 1;     /* FIN was received */
    bool fin_sent : 1;         /* SESSION_ENDING: our FIN was sent */
    bool admitted : 1;         /* a request was accepted; until then admit_by_s is the limit */
    bool guessed : 1;          /* a wrong password was given */
    bool handshakes : 1;       /* counts as a handshake of the client (limits.h) */
    bool counts : 1;           /* counts as a connection of the client */
    bool checked : 1;          /* the next login has been checked against a hash, with this result: */
    bool was_right : 1;
    bool waited : 1;        /* the next login has waited for its check */
    bool awaits_header : 1; /* a balancer's, before the client's first byte (gate.h) */
    bool is_tunnel : 1;
    bool is_cut : 1;    /* its worker may not know it yet */
    const char *cut_as; /* is_cut: the outcome for the account, a constant text; NULL: "cut" */
    struct addr peer;   /* the client, or, while awaits_header, its balancer */
    struct proxy_listener *listener;
    struct limits_client *client; /* NULL while awaits_header, or without memory */
    char *user;                   /* verified, or only claimed when no login is needed; NULL for none */

    int fd;                    /* -1 once the tunnel has it */
    int dest_fd;               /* connected, but not yet the tunnel's; -1 for none */
    struct outbound *outbound; /* being made, or used by tunnel or exchange */
    struct exchange *exchange; /* made by the first plain HTTP request */

    /* While is_tunnel, the tunnel takes the place of the dialogue with the client, which saves memory in
     * each session. */
    union {
        struct {
            struct list stranger; /* in the proxy's strangers, until it is admitted */
            ev_io read, write;
            struct wheel_entry deadline;         /* of the current state */
            double admit_by_s;                   /* monotonic */
            double slowed_s;                     /* duration of SESSION_SLOWED */
            struct udp_association *association; /* SESSION_ASSOCIATED; else NULL */
            uint64_t moved;                      /* its bytes at the last look */
            double taken_s;                      /* when the client last read of an answer that is complete */
            size_t undelivered;                  /* SESSION_RESETTING: bytes, at the last look */
            struct ack_wait client_wait;
            struct check *check; /* of its password (login.h); NULL for none */
            struct buf in;       /* from the client, not parsed yet */
            struct buf out;      /* to the client, not sent yet */
            struct pump down;    /* sent after `out`: a body that passes from socket to socket */
            /* From the destination, counted; sent before the tunnel's bytes (after 101). */
            struct buf early_to_client;
        };
        struct tunnel tunnel;
    };
};

/** For the tunnels of all sessions. */
extern const struct tunnel_events SESSION_TUNNEL_EVENTS;

/** Begin a session of the listener; takes fd. Out of memory, it is closed. */
void session_new(struct proxy_listener *listener, int fd, const struct addr *peer);

/** The client's own bytes come next: let the listener's front begin, if it has one. */
void session_begin(struct session *s);

/** The only function that changes the state. It asserts that the step is allowed, and sets deadline and
 * watchers. */
void session_enter(struct session *s, enum session_state next);
/** What its table says: whether next may follow. */
bool session_may(enum session_state now, enum session_state next);

/** Restart the deadline of the current state. */
void session_rearm(struct session *s);
/** Enter SESSION_SLOWED for that long; then the front continues. */
void session_slow_down(struct session *s, double for_s);
/** For the wheel. */
void session_deadline_came(struct wheel *w, struct wheel_entry *e);

/** Log that the client was refused before it reached a destination (rate-limited).
 *  @param reason  one word: "malformed", "bad-credentials", "timeout", … */
void session_rejected(struct session *s, const char *reason);
/** The same, with the name that the client gave. */
void session_rejected_user(struct session *s, const char *reason, struct slice user);

/** Make closing the client's socket a reset: the bytes that it has received are incomplete. */
void session_reset_on_close(struct session *s);

/** Queue bytes for the client and try to send them at once. @return false when the session was closed */
bool session_send(struct session *s, const void *data, size_t len);
/** Send what waits in s->out and s->down now. @return false when the session was closed */
bool session_flush(struct session *s);
/** Bytes that wait for the client. */
size_t session_owed(const struct session *s);
/** Set the watchers for the buffers; call it after direct changes of s->in, s->out or s->down. */
void session_watch(struct session *s);

/** Fill in the session's part of a request, start it, and enter SESSION_CONNECTING; closes when out of
 * memory. */
void session_start_outbound(struct session *s, struct outbound_request *request);
/** Start an outbound connection for the current request, and enter SESSION_CONNECTING; closes when out of
 * memory.
 *  @param name   the host's name where the target is only its address: policies see the name. NULL: the
 * target says all
 *  @param early  bytes that wait for the destination, and may go with the first packet */
void session_connect_named(struct session *s, const struct target *target, const char *name,
                           enum policy_proto proto, struct buf *early);
static inline void session_connect(struct session *s, const struct target *target, enum policy_proto proto,
                                   struct buf *early)
{
    session_connect_named(s, target, NULL, proto, early);
}

/** Wait for a connection from that peer (SOCKS BIND), and enter SESSION_CONNECTING; closes when out of
 * memory. The front's `listening` is called, and later its `connected`, as for session_connect. */
void session_await(struct session *s, const struct target *peer, enum policy_proto proto);

/** s->out has all bytes for the client before the tunnel, and s->dest_fd and s->outbound are set: hand
 * over to the relay when s->out is sent. */
void session_tunnel(struct session *s);

/** The client has a UDP port now, which the session owns: it ends with the client's connection. */
void session_associate(struct session *s, struct udp_association *a);

/** Send the waiting bytes, send FIN, wait for the client's FIN so that nothing is lost, and close. */
void session_end(struct session *s);

/** Send the waiting bytes. When the client has acknowledged all of them, or reads nothing for the idle
 * timeout, reset it, so that it sees the truncation. */
void session_reset(struct session *s);
/** SESSION_RESETTING: continue after the client has read something or the deadline has come. */
void session_reset_look(struct session *s);

/** Close now; a tunnel on a worker closes when the worker has received the order.
 *  @param outcome  for the account of the outbound connection; NULL for its fault. The session is freed
 * before the loop's next turn, not within the call. */
void session_close(struct session *s, const char *outcome);

/** The connection's source address is gone, so nothing can arrive any more: reset both sides, so that
 * client and destination do not wait. */
void session_cut(struct session *s);
/** End it at once: reset both sides where bytes are missing. @param outcome  a constant text */
void session_close_cut_off(struct session *s, const char *outcome);
/** The source address of the connection to the destination, or where its peer is awaited, and its bound link
 * or 0. @return false when it has none, or it is unknown */
bool session_source(const struct session *s, struct addr *ret, int *ret_link);

/** SESSION_AWAITING: no peer is accepted any more, and the front tells the client.
 *  @param outcome  for the account of the outbound connection */
void session_stop_waiting(struct session *s, const char *outcome);

/** Accept no further requests: closes a session that is between requests, or awaits a peer. */
void session_drain(struct session *s);

/** Free a closed session. */
void session_free(struct session *s);

#endif
