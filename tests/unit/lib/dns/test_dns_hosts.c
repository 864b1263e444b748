#include "dns/dns_hosts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];

static void write_file(const char *text)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    (void)fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof path, "/tmp/steerway-hosts-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(path);
    return 0;
}

static void assert_finds(struct dns_hosts *h, const char *name, double now, const char *expected)
{
    struct addr found[3];
    char text[4 * ADDR_TEXT_MAX] = "", one[ADDR_TEXT_MAX];
    size_t n = dns_hosts_find(h, slice_str(name), now, found, 3);
    for (size_t i = 0; i < n; i++) {
        (void)strcat(text, i ? " " : "");
        (void)strcat(text, addr_format_ip(&found[i], one));
    }
    assert_string_equal(text, expected);
}

static void names_are_found_whatever_the_line_looks_like(void **state)
{
    struct dns_hosts h;
    (void)state;
    write_file("# 192.0.2.1 comment.test\n"
               "192.0.2.2 a.test a\r\n"
               "\t 192.0.2.3\tb.test#b2.test\n"
               "192.0.2.4 c.test # d.test\n"
               "\n192.0.2.5\n"
               "rubbish e.test\n"
               "2001:db8::1 A.Test\n"
               "fe80::1%lo f.test\n"
               "192.0.2.6 many.test\n192.0.2.7 many.test\n192.0.2.8 many.test\n192.0.2.9 many.test\n"
               "192.0.2.10 last.test");
    dns_hosts_init(&h, path);
    assert_finds(&h, "a.test", 10, "192.0.2.2 2001:db8::1");
    assert_finds(&h, "A", 10, "192.0.2.2");
    assert_finds(&h, "b.test", 10, "192.0.2.3");
    assert_finds(&h, "c.test", 10, "192.0.2.4");
    assert_finds(&h, "f.test", 10, "fe80::1%lo");
    assert_finds(&h, "many.test", 10, "192.0.2.6 192.0.2.7 192.0.2.8"); /* as many as fit */
    assert_finds(&h, "last.test", 10, "192.0.2.10");
    static const char *const none[] = {"comment.test", "b2.test",   "d.test", "e.test",
                                       "test",         "192.0.2.2", "#",      "a.tes"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_finds(&h, none[i], 10, "");
    dns_hosts_done(&h);
}

static void it_is_read_again_when_it_has_changed(void **state)
{
    struct dns_hosts h;
    (void)state;
    write_file("192.0.2.1 a.test\n");
    dns_hosts_init(&h, path);
    assert_finds(&h, "a.test", 100, "192.0.2.1");
    write_file("192.0.2.22 a.test\n");
    assert_finds(&h, "a.test", 100.9, "192.0.2.1"); /* the file is checked once a second */
    assert_finds(&h, "a.test", 101, "192.0.2.22");
    const char *text = h.text;
    assert_finds(&h, "a.test", 103, "192.0.2.22");
    assert_ptr_equal(h.text, text); /* unchanged: not read */
    assert_int_equal(unlink(path), 0);
    assert_finds(&h, "a.test", 105, "");
    write_file("192.0.2.3 a.test\n");
    assert_finds(&h, "a.test", 107, "192.0.2.3");
    dns_hosts_done(&h);
    dns_hosts_init(&h, "/dev/zero"); /* not a regular file, and endless */
    assert_finds(&h, "a.test", 100, "");
    dns_hosts_done(&h);
}

static void a_long_list_is_found_in(void **state)
{
    struct dns_hosts h;
    char name[32], expected[32];
    (void)state;
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    for (unsigned i = 0; i < 100000; i++)
        (void)fprintf(f, "10.%u.%u.%u n%u.test\n", i >> 16, i >> 8 & 255, i & 255, i);
    assert_int_equal(fclose(f), 0);
    dns_hosts_init(&h, path);
    for (unsigned i = 0; i < 100000; i += 997) {
        (void)snprintf(name, sizeof name, "n%u.test", i);
        (void)snprintf(expected, sizeof expected, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        assert_finds(&h, name, 1, expected);
    }
    dns_hosts_done(&h);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(names_are_found_whatever_the_line_looks_like),
        TEST(it_is_read_again_when_it_has_changed),
        TEST(a_long_list_is_found_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
