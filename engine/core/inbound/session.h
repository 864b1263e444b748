/* A session: one client connection, from accept to close. It owns the client's socket, its buffers and the
 * state. Fronts (socks.c, http.c) stand above it and say what the bytes mean; it calls them by the structs of
 * front.h. session.c is what a session offers them, session_events.c what happens to it. */
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
    SESSION_READING,    /* a request is awaited or half there */
    SESSION_SLOWED,     /* an answer or a check is held back, as the client was refused often */
    SESSION_CONNECTING, /* the outbound connection is being made */
    SESSION_EXCHANGE,   /* a plain HTTP request is under way */
    SESSION_REPLYING,   /* the last bytes before a tunnel are being written */
    SESSION_TUNNEL,     /* the tunnel has both sockets */
    SESSION_ENDING,     /* a last answer is being written; then the client's FIN is awaited */
    SESSION_RESETTING,  /* the client is to be reset, once it has what came before that */
    SESSION_CLOSED,     /* dead, about to be freed */
};

struct exchange;
struct front;

struct session {
    struct list node; /* of the proxy's sessions, or its dead */
    struct proxy *proxy;
    enum session_state state;
    const struct front *front; /* NULL: the client has said nothing yet */
    uint8_t step;              /* the front's own progress */
    uint8_t refusals;          /* answers in a row that let nothing through (front HTTP) */
    bool client_ended : 1;     /* its FIN has been seen */
    bool fin_sent : 1;         /* SESSION_ENDING: ours has been sent */
    bool admitted : 1; /* a request was let through; until then it has until admit_by_s, whatever it does */
    bool guessed : 1;  /* a wrong password was given */
    bool waited : 1;   /* the login that comes next has waited for its check */
    bool is_tunnel : 1;
    bool is_cut : 1; /* a relay thread may not have heard of it yet */
    struct addr peer;
    const char *listener;
    char *user; /* authenticated, or claimed where nobody asked; NULL for none */

    int fd;                    /* -1 once the tunnel has it */
    int dest_fd;               /* connected, not yet with the tunnel; -1 for none */
    struct outbound *outbound; /* being made, or in use by tunnel or exchange */
    struct exchange *exchange; /* HTTP forwarding: made by the first such request */

    /* While is_tunnel, the tunnel stands where else the talk with the client does: most memory goes for
     * these. */
    union {
        struct {
            struct list stranger; /* of the proxy's strangers, until it is admitted */
            ev_io read, write;
            struct wheel_entry deadline; /* of the present state */
            double admit_by_s;           /* monotonic */
            double slowed_s;             /* for which it is SESSION_SLOWED */
            double taken_s;              /* when the client last took of an answer that nothing is added to */
            size_t undelivered;          /* SESSION_RESETTING: bytes, at the last look */
            struct ack_wait client_wait;
            struct buf in;    /* from the client, not yet understood */
            struct buf out;   /* to the client, not yet accepted */
            struct pump down; /* likewise, behind out: of a body that passes unread from socket to socket */
            struct buf early; /* from destination, and counted, to go before the tunnel (after 101) */
        };
        struct tunnel tunnel;
    };
};

/** Of all sessions' tunnels. */
extern const struct tunnel_events SESSION_TUNNEL_EVENTS;

/** Begin a session. Takes fd. Out of memory: closes it. */
void session_new(struct proxy *proxy, int fd, const struct addr *peer, const char *listener);

/** The one door between states; asserts that the step is allowed, sets the state's deadline and watchers. */
void session_enter(struct session *s, enum session_state next);

/** Start the deadline of the present state anew. */
void session_rearm(struct session *s);
/** Enter SESSION_SLOWED for that long; then the front goes on. */
void session_slow_down(struct session *s, double for_s);
/** For the wheel. */
void session_deadline_came(struct wheel *w, struct wheel_entry *e);

/** Log that the client was turned away before it came to a destination (rate-limited).
 *  @param reason  one word: "malformed", "bad-credentials", "timeout", … */
void session_rejected(struct session *s, const char *reason);
/** The same, with the name that the client gave. */
void session_rejected_user(struct session *s, const char *reason, struct slice user);

/** Let closing the client's socket be a reset: what it has seen is not the whole. */
void session_reset_on_close(struct session *s);

/** Queue bytes for the client and try to write them at once. @return false when the session was closed */
bool session_send(struct session *s, const void *data, size_t len);
/** Write what waits in s->out and s->down now. @return false when the session was closed */
bool session_flush(struct session *s);
/** Bytes that wait for the client. */
size_t session_owed(const struct session *s);
/** Set the watchers by the buffers; after s->in, s->out or s->down were used directly. */
void session_watch(struct session *s);

/** Start an outbound connection for the present request and enter SESSION_CONNECTING; out of memory closes.
 *  @param early  what waits for the destination already, and may go with the first packet */
void session_connect(struct session *s, const struct target *target, enum policy_proto proto,
                     struct buf *early);

/** All that the client must see before the tunnel is in s->out; s->dest_fd and s->outbound are set: hand
 * over to the relay as soon as it is written. */
void session_tunnel(struct session *s);

/** Write what waits, send FIN, wait for the client's FIN so that nothing we said is lost, close. */
void session_end(struct session *s);

/** Write what waits; once the client has acknowledged all of it, or takes no more for
 * the idle timeout, reset the client: it must see that this is not the whole. */
void session_reset(struct session *s);
/** SESSION_RESETTING: go on with it, after the client took something or the deadline came. */
void session_reset_look(struct session *s);

/** Close now; a tunnel that a relay thread carries, as soon as that has heard of it.
 *  @param outcome  for the account of the outbound connection; NULL for its fault
 *  The session is freed before the loop's next turn, not within the call. */
void session_close(struct session *s, const char *outcome);

/** The address that it goes out from is gone, and nothing can arrive there any more: end that connection with
 *  a reset, so that nobody is left waiting. */
void session_cut(struct session *s);
/** The address by which it goes out, and the link that is bound to, or 0. @return false when it does not, or
 * that is not known */
bool session_source(const struct session *s, struct addr *ret, int *ret_link);

/** No further requests: closes a session that is between requests. */
void session_drain(struct session *s);

/** Frees a closed session. */
void session_free(struct session *s);

#endif
