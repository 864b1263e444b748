#include "takeover/activation.h"

#include "addr/addr.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST = 3, MOST = 256 };

/* @return whether the i-th of the names, which colons separate, is this one */
static bool is_named(const char *names, int i, const char *name)
{
    for (; names && i > 0; i--) {
        names = strchr(names, ':');
        names = names ? names + 1 : NULL;
    }
    const size_t len = strlen(name);
    return names && strncmp(names, name, len) == 0 && (names[len] == ':' || names[len] == '\0');
}

static int take_one(struct handed_set *s, int fd, bool named)
{
    struct sockaddr_storage bound;
    char text[ADDR_TEXT_MAX];
    struct addr at;
    int type;

    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &(socklen_t){sizeof type}) < 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &(socklen_t){sizeof bound}) < 0)
        return -errno;
    int r = addr_from_sockaddr(&at, (struct sockaddr *)&bound, sizeof bound);
    if (r < 0)
        return r;
    return handed_add(s, type == SOCK_DGRAM ? HANDED_DATAGRAMS : HANDED_LISTENER,
                      named ? "proxy" : addr_format(&at, text), HANDED_ANY_USE, fd);
}

int activation_take(struct handed_set *s)
{
    const char *pid = getenv("LISTEN_PID"), *number = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
    int n = number && pid && strtol(pid, NULL, 10) == (long)getpid() ? atoi(number) : 0, r = 0;

    for (int i = 0; r == 0 && i < n && i < MOST; i++)
        r = take_one(s, FIRST + i, is_named(names, i, "proxy"));
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    return r;
}
