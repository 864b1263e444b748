#include "dns/dns_servers.h"

#include "base/compiler.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DNS_PORT = 53, PATH_LEN = 512, LINE_LEN = 4096 };

/* The same link-local address on another link is another server. */
static bool same_server(const struct addr *a, const struct addr *b)
{
    if (!addr_same_ip(a, b) || addr_port(a) != addr_port(b))
        return false;
    return addr_family(a) != AF_INET6 || a->in6.sin6_scope_id == b->in6.sin6_scope_id;
}

bool dns_servers_same(const struct dns_servers *a, const struct dns_servers *b)
{
    for (size_t i = 0; i < a->n && i < b->n; i++)
        if (!same_server(&a->items[i], &b->items[i]))
            return false;
    return a->n == b->n;
}

bool dns_servers_add(struct dns_servers *s, const struct addr *server)
{
    for (size_t i = 0; i < s->n; i++)
        if (same_server(&s->items[i], server))
            return true;
    if (s->n == DNS_SERVERS_MAX)
        return false;
    s->items[s->n++] = *server;
    return true;
}

int dns_servers_parse_one(struct addr *ret, struct slice text)
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
        if (dns_servers_parse_one(&a, slice_of(at, comma ? (size_t)(comma - at) : strlen(at))) < 0)
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

/* The address of a line "nameserver ADDRESS", or NULL (resolv.conf(5)). */
static char *nameserver_of(char *line)
{
    static const char key[] = "nameserver";
    char *rest = line + sizeof key - 1;

    if (strncmp(line, key, sizeof key - 1) != 0 || (*rest != ' ' && *rest != '\t'))
        return NULL;
    rest += strspn(rest, " \t");
    rest[strcspn(rest, " \t\r\n")] = '\0';
    return rest;
}

void dns_servers_of_system(struct dns_servers *ret, const char *root)
{
    char path[PATH_LEN], line[LINE_LEN];
    struct addr a;

    *ret = (struct dns_servers){.n = 0};
    (void)snprintf(path, sizeof path, "%s/etc/resolv.conf", root);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        char *text = nameserver_of(line);
        if (text && addr_parse_ip(&a, slice_str(text), DNS_PORT) == 0)
            (void)dns_servers_add(ret, &a);
    }
    if (f)
        (void)fclose(f);
}

/* --- of a link ------------------------------------------------------------------------------------------ */

/* Take "192.0.2.1", "192.0.2.1:53#dns.example" or "fe80::1%3", as systemd writes them; the name for TLS is
 * dropped. */
static void take_word(struct dns_servers *s, char *word)
{
    struct addr a;

    word[strcspn(word, "#")] = '\0';
    if (dns_servers_parse_one(&a, slice_str(word)) == 0)
        (void)dns_servers_add(s, &a);
}

/* Take the values of "KEY=a b c" in a file of systemd. */
static void take_file(struct dns_servers *s, const char *path, const char *key)
{
    char line[LINE_LEN], *rest;
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
    /* resolved has servers that were set by hand or by the network manager. These precede those that networkd
     * got from the network. */
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
