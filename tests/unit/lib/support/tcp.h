/* Connected TCP pairs on loopback, and streams of bytes in which a lost, doubled or misplaced byte shows. */
#ifndef STEERWAY_TESTS_SUPPORT_TCP_H
#define STEERWAY_TESTS_SUPPORT_TCP_H

#include "support/loopback.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static inline void nonblocking(int fd)
{
    assert_return_code(fcntl(fd, F_SETFL, O_NONBLOCK), errno);
}

/* Segments as on a real line: loopback's of 64 KiB would let a small window open in leaps only. */
static inline void small_segments(int fd)
{
    const int segment = 1400;

    assert_return_code(setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment), errno);
}

/* A connected TCP pair, so that resets and half-closes come from the kernel.
 * @param window  bytes that a's kernel buffers for its reader; 0 for the default */
static inline void tcp_pair(int window, int *ret_a, int *ret_b)
{
    struct addr at;
    int listener = listen_at_loopback(AF_INET, 1, &at);

    *ret_a = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    small_segments(*ret_a);
    if (window > 0)
        assert_return_code(setsockopt(*ret_a, SOL_SOCKET, SO_RCVBUF, &window, sizeof window), errno);
    assert_return_code(connect(*ret_a, &at.sa, addr_len(&at)), errno);
    *ret_b = accept(listener, NULL, NULL);
    assert_return_code(*ret_b, errno);
    nonblocking(*ret_a);
    nonblocking(*ret_b);
    (void)close(listener);
}

/* Close it so that the peer sees a reset. */
static inline void close_with_reset(int fd)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};

    assert_return_code(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), errno);
    (void)close(fd);
}

/* Byte n of a stream. */
static inline char byte_at(size_t n)
{
    return (char)(n * 31 + (n >> 8) * 7 + (n >> 16));
}

/* Write as much as possible. @return bytes written in all */
static inline size_t feed(int fd, size_t sent, size_t total)
{
    char data[16384];
    while (sent < total) {
        size_t n = total - sent < sizeof data ? total - sent : sizeof data;
        for (size_t i = 0; i < n; i++)
            data[i] = byte_at(sent + i);
        ssize_t w = send(fd, data, n, MSG_NOSIGNAL);
        if (w < 0)
            break;
        sent += (size_t)w;
    }
    return sent;
}

/* Read and check what has arrived, but no byte after `total`.
 * @return bytes read in all; sets *ret_end to 1 at FIN, to -1 at a reset */
static inline size_t drain_up_to(int fd, size_t got, size_t total, int *ret_end)
{
    char data[16384];
    while (got < total) {
        ssize_t n = recv(fd, data, total - got < sizeof data ? total - got : sizeof data, 0);
        if (n == 0)
            *ret_end = 1;
        else if (n < 0 && errno != EAGAIN)
            *ret_end = -1;
        if (n <= 0)
            break;
        for (size_t i = 0; i < (size_t)n; i++)
            if (data[i] != byte_at(got + i))
                fail_msg("byte %zu is wrong", got + i);
        got += (size_t)n;
    }
    return got;
}

static inline size_t drain(int fd, size_t got, int *ret_end)
{
    return drain_up_to(fd, got, SIZE_MAX, ret_end);
}

#endif
