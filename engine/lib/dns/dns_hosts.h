/* The names in a hosts file (hosts(5)), found in logarithmic time. The file is read again when it has
 * changed, for which it is looked at once a second at most. */
#ifndef STEERWAY_DNS_DNS_HOSTS_H
#define STEERWAY_DNS_DNS_HOSTS_H

#include "addr/addr.h"

struct dns_hosts_entry;

/** Embedded by its owner. */
struct dns_hosts {
    const char *path;
    double looked_at; /* monotonic seconds; 0: never */
    struct timespec modified;
    unsigned long long inode;
    long long size;
    char *text;
    struct dns_hosts_entry *entries; /* sorted by hash, then by place */
    size_t n;
};

/** @param path  outlives it; NULL: "/etc/hosts" */
void dns_hosts_init(struct dns_hosts *h, const char *path);
void dns_hosts_done(struct dns_hosts *h);

/** @param now  monotonic seconds
 *  @return how many addresses of the name were written to ret, in the file's order, with port 0 */
size_t dns_hosts_find(struct dns_hosts *h, struct slice name, double now, struct addr *ret, size_t max);

#endif
