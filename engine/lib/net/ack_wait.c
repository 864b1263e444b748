#include "net/ack_wait.h"

#include "base/clock.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { IN_VAIN = 3 };

/* Bytes in the kernel that the peer has not acknowledged, sent or not. */
static int queued(int fd)
{
    int n = 0;

    return ioctl(fd, SIOCOUTQ, &n) < 0 ? 0 : n;
}

/* @return the bytes of ret that the kernel filled; 0 on failure */
static socklen_t read_info(int fd, struct tcp_info *ret)
{
    socklen_t len = sizeof *ret;

    *ret = (struct tcp_info){.tcpi_state = 0};
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, ret, &len) < 0 ? 0 : len;
}

/* Kernels before 5.4 do not report the window; then only the peer's silence counts. */
static bool window_has_room(const struct tcp_info *info, socklen_t len)
{
    bool told = len >= offsetof(struct tcp_info, tcpi_snd_wnd) + sizeof info->tcpi_snd_wnd;

    return told && info->tcpi_snd_wnd >= info->tcpi_snd_mss;
}

static bool is_dead(const struct ack_sample *s, double timeout_s)
{
    if (s->under_way && s->repeats >= IN_VAIN && s->has_room)
        return true;
    return (s->repeats >= IN_VAIN || s->probes >= IN_VAIN) && s->silent_ms >= timeout_s * 1e3;
}

bool ack_wait_judge(struct ack_wait *w, const struct ack_sample *s, double timeout_s)
{
    uint32_t now_ms = s->now_ms | 1; /* 0 means that no data waits */

    if (timeout_s <= 0 || !s->waits) {
        *w = (struct ack_wait){.since_ms = 0};
        return false;
    }
    if (w->since_ms == 0 || s->acked != w->acked) {
        *w = (struct ack_wait){.since_ms = now_ms, .acked = s->acked};
        return false;
    }
    if (now_ms - w->since_ms < timeout_s * 1e3)
        return false;
    if (is_dead(s, timeout_s))
        return true;
    w->since_ms = now_ms; /* the timeout restarts: only time with room counts */
    return false;
}

bool ack_wait_look(struct ack_wait *w, int fd, double timeout_s)
{
    struct ack_sample s = {.waits = timeout_s > 0 && queued(fd) > 0};
    struct tcp_info info;
    socklen_t len = s.waits ? read_info(fd, &info) : 0;

    s.waits = len > 0;
    if (s.waits)
        s = (struct ack_sample){
            .now_ms = (uint32_t)(uint64_t)(clock_now_s() * 1e3),
            .acked = (uint32_t)info.tcpi_bytes_acked,
            .silent_ms = info.tcpi_last_ack_recv,
            .repeats = info.tcpi_retransmits,
            .probes = info.tcpi_probes,
            .waits = true,
            .under_way = info.tcpi_unacked > 0,
            .has_room = window_has_room(&info, len),
        };
    return ack_wait_judge(w, &s, timeout_s);
}

bool ack_wait_in_vain(int fd)
{
    struct tcp_info info;

    return queued(fd) > 0 && read_info(fd, &info) > 0 && info.tcpi_unacked > 0 &&
           info.tcpi_retransmits >= IN_VAIN;
}
