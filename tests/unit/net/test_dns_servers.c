#include "net/dns_servers.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void lists_are_read_and_written(void **state)
{
    static const struct {
        const char *text, *written; /* NULL: none */
    } lists[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"192.0.2.1:53", "192.0.2.1"},
        {"[2001:db8::1]:5353,192.0.2.1", "[2001:db8::1]:5353, 192.0.2.1"},
        {"2001:db8::1,2001:db8::1,[2001:db8::1]:54", "2001:db8::1, [2001:db8::1]:54"},
        {"", NULL},
        {",", NULL},
        {"192.0.2.1,", NULL},
        {"dns.example", NULL},
        {"192.0.2.1:0x35", NULL},
        {"192.0.2.1:0", NULL},
        {"192.0.2.1 192.0.2.2", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct dns_servers s;
        char text[DNS_SERVERS_TEXT_MAX];
        int r = dns_servers_parse(&s, lists[i].text);
        assert_int_equal(r, lists[i].written ? 0 : -EINVAL);
        if (r == 0)
            assert_string_equal(dns_servers_format(&s, text), lists[i].written);
    }
    struct dns_servers s;
    assert_int_equal(dns_servers_parse(&s, "192.0.2.1,192.0.2.2,192.0.2.3,192.0.2.4,192.0.2.5,192.0.2.6,"
                                           "192.0.2.7,192.0.2.8,192.0.2.9"),
                     -E2BIG);
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    (void)fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void assert_link(const char *root, int link, const char *servers)
{
    struct dns_servers s;
    char text[DNS_SERVERS_TEXT_MAX];
    dns_servers_of_link(&s, link, root);
    assert_string_equal(dns_servers_format(&s, text), servers);
}

static void what_the_system_has_learned_for_a_link(void **state)
{
    char root[] = "/tmp/steerway-dns-XXXXXX", command[128], resolved[64], networkd[64];
    (void)state;
    assert_non_null(mkdtemp(root));
    (void)snprintf(command, sizeof command,
                   "mkdir -p %s/run/systemd/resolve/netif %s/run/systemd/netif/links", root, root);
    assert_int_equal(system(command), 0);
    (void)snprintf(resolved, sizeof resolved, "%s/run/systemd/resolve/netif", root);
    (void)snprintf(networkd, sizeof networkd, "%s/run/systemd/netif/links", root);
    assert_link(root, 7, "");
    write_file(networkd, "7",
               "# This is private data. Do not parse.\nADMIN_STATE=configured\n"
               "DNS=192.0.2.1 2001:db8::1 rubbish\nDNSSEC=no\n");
    assert_link(root, 7, "192.0.2.1, 2001:db8::1");
    assert_link(root, 17, "");
    write_file(resolved, "7", "LLMNR=yes\nSERVERS=192.0.2.9:5353#dns.example 192.0.2.10#dns.example\n");
    assert_link(root, 7, "192.0.2.9:5353, 192.0.2.10");
    write_file(resolved, "7", "LLMNR=yes\nSERVERS=\n"); /* nothing set there */
    assert_link(root, 7, "192.0.2.1, 2001:db8::1");
    (void)snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read_and_written),
        cmocka_unit_test(what_the_system_has_learned_for_a_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
