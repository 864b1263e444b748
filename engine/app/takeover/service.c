#include "takeover/service.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static const double MICROSECONDS = 1e6;

void service_say(const char *fmt, ...)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char text[512];
    va_list args;

    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof to.sun_path)
        return;
    const size_t len = strlen(path);
    memcpy(to.sun_path, path, len + 1);
    if (path[0] == '@') /* an abstract name */
        to.sun_path[0] = '\0';
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)!sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&to,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    (void)close(fd);
}

void service_say_reloading(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    service_say("RELOADING=1\nMONOTONIC_USEC=%jd",
                (intmax_t)now.tv_sec * 1000000 + (intmax_t)(now.tv_nsec / 1000));
}

static void on_alive(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)w;
    (void)events;
    service_say("WATCHDOG=1");
}

/* The watchdog is for one process. The variable with its number goes, so that a successor is watched, too. */
void service_watch(struct service *s, struct ev_loop *loop)
{
    const char *time = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    double half_s = time ? strtod(time, NULL) / MICROSECONDS / 2 : 0;

    if (half_s <= 0 || (pid && strtol(pid, NULL, 10) != (long)getpid()))
        return;
    (void)unsetenv("WATCHDOG_PID");
    s->loop = loop;
    ev_timer_init(&s->alive, on_alive, half_s, half_s);
    ev_timer_start(loop, &s->alive);
}

void service_done(struct service *s)
{
    if (s->loop)
        ev_timer_stop(s->loop, &s->alive);
}
