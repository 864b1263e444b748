/* What load and origin say to each other, and what both need: sockets, a pattern to verify, a clock.
 *
 * A client's first byte says what it wants from the origin:
 *   'E'  every byte back, this one included
 *   'D'  then a 64-bit big-endian length: that many bytes of the pattern, then the end
 *   'U'  then a length, then that many bytes of the pattern, which are verified: 'K' back if right, else 'X'
 *   'G'  an HTTP request without a body, again and again: 1,024 bytes of the pattern each; or as many as
 *        its path tells ("/4096"), and then the end */
#ifndef STEERWAY_BENCH_WIRE_H
#define STEERWAY_BENCH_WIRE_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { WIRE_PIECE = 256 * 1024, WIRE_PERIOD = 65521, WIRE_BODY = 1024, WIRE_MESSAGE = 64, WIRE_ASK = 9 };
enum { WIRE_BUFFER = 8 << 20 }; /* of a socket that takes datagrams: what waits here is not lost */

/* The pattern repeats after a prime number of bytes, so that neighbouring pieces differ. Has room for a
 * piece from any place in it. */
static unsigned char wire_pattern[WIRE_PERIOD + WIRE_PIECE];

static inline void die(const char *what)
{
    (void)fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static inline void wire_init(void)
{
    uint32_t x = 2463534242u;

    for (size_t i = 0; i < sizeof wire_pattern; i++) {
        if (i >= WIRE_PERIOD) {
            wire_pattern[i] = wire_pattern[i - WIRE_PERIOD];
            continue;
        }
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        wire_pattern[i] = (unsigned char)x;
    }
}

/* The bytes of a stream from this place on, at most WIRE_PIECE. */
static inline const unsigned char *wire_at(uint64_t place)
{
    return wire_pattern + place % WIRE_PERIOD;
}

static inline void wire_put_length(unsigned char *out, uint64_t n)
{
    for (int i = 7; i >= 0; i--, n >>= 8)
        out[i] = (unsigned char)n;
}

static inline uint64_t wire_length(const unsigned char *in)
{
    uint64_t n = 0;

    for (int i = 0; i < 8; i++)
        n = n << 8 | in[i];
    return n;
}

static inline double wire_now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* "ADDRESS:PORT", IPv4 */
static inline struct sockaddr_in wire_place(const char *text)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    char host[64];
    unsigned port;

    if (sscanf(text, "%63[0-9.]:%u", host, &port) != 2 || inet_pton(AF_INET, host, &a.sin_addr) != 1) {
        (void)fprintf(stderr, "%s: expected ADDRESS:PORT\n", text);
        exit(2);
    }
    a.sin_port = htons((uint16_t)port);
    return a;
}

static inline void wire_prompt(int fd)
{
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

static inline bool wire_later(ssize_t n)
{
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

#endif
