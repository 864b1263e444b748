/* The load generator's connections: each is made through the proxy, does its task, and is verified byte by
 * byte. load.c has the measures. */
#ifndef STEERWAY_BENCH_LOAD_H
#define STEERWAY_BENCH_LOAD_H

#include "wire.h"

enum how {
    BY_NONE,
    BY_SOCKS5,
    BY_CONNECT,
    BY_FORWARD, /* plain HTTP, as to a proxy */
    BY_NAME,    /* SOCKS5, and always the same name in place of an address */
    BY_NAMES,   /* and another name each time */
};

enum task {
    TASK_ECHO, /* one message to the origin and back, repeated until it is told to stop */
    TASK_DOWN,
    TASK_UP,
    TASK_HTTP, /* one request and answer after the other */
    TASK_GET,  /* as TASK_DOWN, by HTTP */
};

struct conn;

/** A unit of work is done: an echo or an answer came back, or a transfer ended. @return whether to
 * continue with another unit on this connection; otherwise it is closed, and *c may be started again */
typedef bool conn_done_fn(struct conn *c, double took_s);

struct conn {
    int fd;
    enum how how;
    enum task task;
    conn_done_fn *done;
    uint64_t length; /* of a transfer */
    /* its own: */
    int step;
    uint64_t place;
    double since;
    bool writing, resting;
    unsigned char in[4096];
    size_t n_in;
};

struct load {
    int poller;
    struct sockaddr_in proxy, origin;
    uint64_t bytes, failures;
};

extern struct load load;

void load_begin(void);

/** Connect, and do the task. A failure ends the program, since measuring a broken connection means
 * nothing. */
void conn_start(struct conn *c);
void conn_close(struct conn *c);
/** Wait for events and serve them. @param wait_s  at most */
void conn_turn(double wait_s);
/** Begin another unit on a connection that rests after one. */
void conn_again(struct conn *c);

/** Send datagrams that the origin echoes, and print the result. @param by_proxy  through associations;
 * otherwise straight to load.proxy. @param n  how many in all  @param window  how many of each association
 * are on their way
 * @param size  in bytes, 0 for 64 to 1400 */
void udp_measure(bool by_proxy, size_t associations, uint64_t n, size_t window, size_t size);

#endif
