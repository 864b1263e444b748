#include "net/dns_servers.h"

#include "base/compiler.h"

#include <ares.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DNS_PORT = 53, PATH_LEN = 512 };

bool dns_servers_same(const struct dns_servers *a, const struct dns_servers *b)
{
    for (size_t i = 0; i < a->n && i < b->n; i++)
        if (!addr_same_ip(&a->items[i], &b->items[i]) || addr_port(&a->items[i]) != addr_port(&b->items[i]))
            return false;
    return a->n == b->n;
}

bool dns_servers_add(struct dns_servers *s, const struct addr *server)
{
    for (size_t i = 0; i < s->n; i++)
        if (addr_same_ip(&s->items[i], server) && addr_port(&s->items[i]) == addr_port(server))
            return true;
    if (s->n == DNS_SERVERS_MAX)
        return false;
    s->items[s->n++] = *server;
    return true;
}

static int parse_one(struct addr *ret, struct slice text)
{
    if (addr_parse_ip(ret, text, DNS_PORT) == 0)
        return 0;
    return addr_parse(ret, text) < 0 || addr_port(ret) == 0 ? -EINVAL : 0;
}

int dns_servers_parse(struct dns_servers *ret, const char *text)
{
    struct dns_servers s = {.n = 0};

    for (const char *at = text; at;) {
        const char *comma = strchr(at, ',');
        struct addr a;
        if (parse_one(&a, slice_of(at, comma ? (size_t)(comma - at) : strlen(at))) < 0)
            return -EINVAL;
        if (!dns_servers_add(&s, &a))
            return -E2BIG;
        at = comma ? comma + 1 : NULL;
    }
    *ret = s;
    return 0;
}

const char *dns_servers_format(const struct dns_servers *s, char out[DNS_SERVERS_TEXT_MAX])
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < s->n; i++) {
        char text[ADDR_TEXT_MAX];
        bool usual = addr_port(&s->items[i]) == DNS_PORT;
        (void)(usual ? addr_format_ip(&s->items[i], text) : addr_format(&s->items[i], text));
        len += (size_t)snprintf(out + len, DNS_SERVERS_TEXT_MAX - len, "%s%s", i ? ", " : "", text);
    }
    return out;
}

/* --- of the system -------------------------------------------------------------------------------------- */

static void take_node(struct dns_servers *s, const struct ares_addr_port_node *node)
{
    struct addr a;
    bool is4 = node->family == AF_INET;
    uint16_t port = node->udp_port ? (uint16_t)node->udp_port : DNS_PORT;

    if (addr_from_ip(&a, (const uint8_t *)&node->addr, is4 ? 4 : 16, port) == 0)
        (void)dns_servers_add(s, &a);
}

void dns_servers_of_system(struct dns_servers *ret)
{
    struct ares_addr_port_node *nodes = NULL;
    ares_channel channel;

    *ret = (struct dns_servers){.n = 0};
    if (ares_init(&channel) != ARES_SUCCESS)
        return;
    if (ares_get_servers_ports(channel, &nodes) == ARES_SUCCESS)
        for (const struct ares_addr_port_node *it = nodes; it; it = it->next)
            take_node(ret, it);
    ares_free_data(nodes);
    ares_destroy(channel);
}

/* --- of a link ------------------------------------------------------------------------------------------ */

/* "192.0.2.1", "192.0.2.1:53#dns.example", "fe80::1%3": what they write, without the name for TLS. */
static void take_word(struct dns_servers *s, char *word)
{
    struct addr a;

    word[strcspn(word, "#")] = '\0';
    if (parse_one(&a, slice_str(word)) == 0)
        (void)dns_servers_add(s, &a);
}

/* The values of "KEY=a b c" in a file of theirs. */
static void take_file(struct dns_servers *s, const char *path, const char *key)
{
    char line[4096], *rest;
    FILE *f = fopen(path, "re");
    size_t len = strlen(key);

    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, key, len) != 0 || line[len] != '=')
            continue;
        for (char *word = strtok_r(line + len + 1, " \t\n", &rest); word;
             word = strtok_r(NULL, " \t\n", &rest))
            take_word(s, word);
    }
    if (f)
        (void)fclose(f);
}

void dns_servers_of_link(struct dns_servers *ret, int link_index, const char *root)
{
    /* What was set by hand or by the network manager, which resolved keeps, comes before what networkd was
     * given by the network. */
    static const struct {
        const char *folder, *key;
    } places[] = {{"/run/systemd/resolve/netif", "SERVERS"}, {"/run/systemd/netif/links", "DNS"}};
    char path[PATH_LEN];

    *ret = (struct dns_servers){.n = 0};
    for (size_t i = 0; i < ARRAY_LEN(places) && ret->n == 0; i++) {
        (void)snprintf(path, sizeof path, "%s%s/%d", root, places[i].folder, link_index);
        take_file(ret, path, places[i].key);
    }
}
