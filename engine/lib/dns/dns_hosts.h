/* The names in a hosts file (hosts(5)), found in logarithmic time. At most once a second the file is checked
 * for changes, and read again after one. */
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
    struct dns_hosts_entry *entries; /* sorted by hash, then by line */
    size_t n;
};

/** @param path  outlives it; NULL: "/etc/hosts" */
void dns_hosts_init(struct dns_hosts *h, const char *path);
void dns_hosts_done(struct dns_hosts *h);

/** Find a name's addresses, with port 0, in the file's order.
 *  @param now  monotonic seconds
 *  @return the number written to ret */
size_t dns_hosts_find(struct dns_hosts *h, struct slice name, double now, struct addr *ret, size_t max);

#endif
