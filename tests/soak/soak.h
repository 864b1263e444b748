/* Shared by the long runs: three uplinks, a connection, and figures of this process. */
#ifndef STEERWAY_SOAK_H
#define STEERWAY_SOAK_H

#include "policy/policy.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct soak_uplinks {
    struct uplink_set set;
    struct uplink uplinks[3];
};

static inline void soak_uplinks_init(struct soak_uplinks *s)
{
    *s = (struct soak_uplinks){.set = {.n = 0}};
    for (size_t i = 0; i < ARRAY_LEN(s->uplinks); i++) {
        s->uplinks[i].view = (struct uplink_view){
            .weight = 1, .tier = 1, .id = (int32_t)i + 1, .up = true, .ipv4 = true, .quota_left = INFINITY};
        (void)snprintf(s->uplinks[i].name, sizeof s->uplinks[i].name, "eth%zu", i);
        uplink_set_put(&s->set, &s->uplinks[i]);
    }
}

/* The port tells the policy what to do. */
static inline struct policy_conn soak_conn(uint64_t id, uint16_t port)
{
    return (struct policy_conn){.id = id,
                                .host = "www.example.org",
                                .port = port,
                                .proto = POLICY_SOCKS5,
                                .client = "192.0.2.7",
                                .listener = "127.0.0.1:1080",
                                .attempt = 1};
}

/* Write a policy's file and close it. @param fd  from open or mkstemp */
static inline void soak_write(int fd, const char *text, size_t len)
{
    if (fd < 0 || write(fd, text, len) != (ssize_t)len)
        abort();
    (void)close(fd);
}

static inline struct policy_options soak_options(struct soak_uplinks *s, const char *path, double budget_s)
{
    return (struct policy_options){.source = {.file = path},
                                   .lua_dir = STEERWAY_SOURCE_DIR "/lua",
                                   .uplinks = &s->set,
                                   .budget_s = budget_s,
                                   .share_s = INFINITY};
}

/* The log is not tested here. */
static inline void soak_log_nothing(void)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    if (null < 0 || dup2(null, STDERR_FILENO) < 0)
        abort();
    (void)close(null);
}

static inline long soak_resident_kib(void)
{
    long pages = 0, all;
    FILE *f = fopen("/proc/self/statm", "r");

    if (!f || fscanf(f, "%ld %ld", &all, &pages) != 2)
        abort();
    (void)fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

#endif
