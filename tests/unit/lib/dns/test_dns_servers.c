#include "dns/dns_servers.h"

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

static void what_resolv_conf_names(void **state)
{
    static const struct {
        const char *text, *servers;
    } files[] = {
        {"", ""},
        {"# nameserver 192.0.2.1\n;nameserver 192.0.2.1\n", ""},
        {"nameserver 192.0.2.1\nsearch a.test\nnameserver\t2001:db8::1  \nnameserver 192.0.2.1\n",
         "192.0.2.1, 2001:db8::1"},
        {"nameserver fe80::1%lo\nnameserver fe80::1\nnameserver fe80::1%nowhere\n", "fe80::1%lo, fe80::1"},
        {"nameserver192.0.2.1\nnameserver\nnameserver rubbish\noptions nameserver 192.0.2.1\n", ""},
        {"nameserver 192.0.2.7", "192.0.2.7"},
    };
    char root[] = "/tmp/steerway-dns-XXXXXX", folder[64], text[DNS_SERVERS_TEXT_MAX], path[80];
    struct dns_servers s;
    (void)state;
    assert_non_null(mkdtemp(root));
    dns_servers_of_system(&s, root);
    assert_int_equal(s.n, 0);
    (void)snprintf(folder, sizeof folder, "%s/etc", root);
    (void)snprintf(path, sizeof path, "%s/resolv.conf", folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        write_file(folder, "resolv.conf", files[i].text);
        dns_servers_of_system(&s, root);
        assert_string_equal(dns_servers_format(&s, text), files[i].servers);
    }
    assert_int_equal(unlink(path) + rmdir(folder) + rmdir(root), 0);
}

static void a_link_local_server_of_another_link_is_another_server(void **state)
{
    struct dns_servers a, b;
    (void)state;
    assert_int_equal(dns_servers_parse(&a, "fe80::1%1"), 0);
    assert_int_equal(dns_servers_parse(&b, "fe80::1%2"), 0);
    assert_false(dns_servers_same(&a, &b));
    assert_true(dns_servers_add(&a, &b.items[0]));
    assert_int_equal(a.n, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read_and_written),
        cmocka_unit_test(what_the_system_has_learned_for_a_link),
        cmocka_unit_test(what_resolv_conf_names),
        cmocka_unit_test(a_link_local_server_of_another_link_is_another_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
