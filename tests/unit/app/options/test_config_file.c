/* Config files: every key, and an error of one line for every mistake. */
#include "options/config_file.h"

#include "options/options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const char LUA_DIR[] = STEERWAY_SOURCE_DIR "/lua";

struct fixture {
    char dir[64], file[96], users[96];
    char err[CONFIG_ERROR_MAX];
    struct config config;
};

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/steerway-config-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->file, sizeof f->file, "%s/config.lua", f->dir);
    (void)snprintf(f->users, sizeof f->users, "%s/users", f->dir);
    write_file(f->users, "dora:pw\n");
    config_init(&f->config);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    config_done(&f->config);
    (void)unlink(f->file);
    (void)unlink(f->users);
    assert_int_equal(rmdir(f->dir), 0);
    free(f);
    return 0;
}

static int load(struct fixture *f, const char *text)
{
    write_file(f->file, text);
    config_done(&f->config);
    return config_file_load(&f->config, f->file, LUA_DIR, f->err);
}

static void must_load(struct fixture *f, const char *text)
{
    if (load(f, text) != 0)
        fail_msg("%s", f->err);
}

static void every_option_has_a_key(void **state)
{
    struct fixture *f = *state;
    const struct config *c = &f->config;
    char text[ADDR_TEXT_MAX], path[128];

    must_load(f, "return {\n"
                 "  host = { '192.0.2.1', '2001:db8::1' }, port = 8, http = true, listen = '127.0.0.1:9',\n"
                 "  allow = { '10.0.0.0/8', '192.0.2.0/24,fd00::/8' },\n"
                 "  auth = { 'a:1', 'b:2' }, auth_file = 'users',\n"
                 "  policy = 'round_robin', set = { n = 3, x = 0.25, on = true, word = 'w=w' },\n"
                 "  bypass = 'none', dns = { '192.0.2.53', '192.0.2.54' },\n"
                 "  bind_from = { '10.0.0.0/8', '10.1.0.0/16' }, bind_timeout = 5,\n"
                 "  dial_timeout = 1, handshake_timeout = 2.5, idle_timeout = 3, drain_timeout = 0,\n"
                 "  threads = 3, fast_open = true,\n"
                 "  data_dir = '/data', debug = false, quiet = true, log_format = 'json',\n"
                 "  uplinks = { 'eth0@7' },\n"
                 "}\n");
    assert_int_equal(c->n_hosts, 2);
    assert_int_equal(c->port, 8);
    assert_true(c->http);
    assert_int_equal(c->n_listen, 1);
    assert_string_equal(addr_format(&c->listen[0].addr, text), "127.0.0.1:9");
    assert_true(c->allow_given);
    assert_int_equal(c->access.clients.n, 3);
    assert_int_equal(c->access.n_users, 3);
    assert_true(access_check_user(&c->access, slice_str("dora"), slice_str("pw")));
    assert_string_equal(c->policy, "round_robin");
    assert_int_equal(c->n_params, 4);
    for (size_t i = 0; i < c->n_params; i++) {
        static const char *const expected[][2] = {{"n", "3"}, {"x", "0.25"}, {"on", "true"}, {"word", "w=w"}};
        bool found = false;
        for (size_t j = 0; j < ARRAY_LEN(expected); j++)
            found = found || (strcmp(expected[j][0], c->params[i].key) == 0 &&
                              strcmp(expected[j][1], c->params[i].value) == 0);
        if (!found)
            fail_msg("%s=%s", c->params[i].key, c->params[i].value);
    }
    assert_false(c->bypass_default);
    assert_int_equal(c->bypass.n, 0);
    assert_int_equal(c->bind_from.n, 2);
    assert_true(c->bind_timeout_s == 5);
    assert_string_equal(c->dns_servers, "192.0.2.53,192.0.2.54");
    assert_true(c->dial_timeout_s == 1 && c->handshake_timeout_s == 2.5 && c->idle_timeout_s == 3 &&
                c->drain_timeout_s == 0);
    assert_int_equal(c->threads, 3);
    assert_true(c->fast_open);
    assert_string_equal(c->data_dir, "/data");
    assert_int_equal(c->log_level, LOG_WARN);
    assert_int_equal(c->log_format, LOG_JSON);
    assert_int_equal(c->n_uplinks, 1);

    must_load(f, "return { debug = true, policy = 'mine.lua', data_dir = 'd' }");
    assert_int_equal(c->log_level, LOG_DEBUG);
    (void)snprintf(path, sizeof path, "%s/mine.lua", f->dir);
    assert_string_equal(c->policy, path);
    (void)snprintf(path, sizeof path, "%s/d", f->dir);
    assert_string_equal(c->data_dir, path);

    must_load(f, "return { policy = '/abs/mine.lua' }");
    assert_string_equal(c->policy, "/abs/mine.lua");
    must_load(f, "return { http = false, quiet = false }");
    assert_false(c->http);
    assert_int_equal(c->log_level, LOG_INFO);
    must_load(f, "return {}");
    must_load(f, "return { set = {} }");
    assert_int_equal(c->n_uplinks, 0);
}

static void a_file_in_the_present_folder(void **state)
{
    struct fixture *f = *state;
    char *before = getcwd(NULL, 0);

    assert_non_null(before);
    write_file(f->file, "return { policy = 'mine.lua', auth_file = 'users' }");
    assert_int_equal(chdir(f->dir), 0);
    int r = config_file_load(&f->config, "config.lua", LUA_DIR, f->err);
    assert_int_equal(chdir(before), 0);
    free(before);
    if (r != 0)
        fail_msg("%s", f->err);
    assert_string_equal(f->config.policy, "mine.lua");
    assert_int_equal(f->config.access.n_users, 1);
}

/* The table of options is the list of keys: each option is a key, and each key an option. */
static void every_row_of_the_table_is_a_key(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; option_at(i); i++) {
        char key[64], text[128];
        (void)snprintf(key, sizeof key, "%s", option_at(i)->name);
        for (char *p = key; *p; p++)
            *p = *p == '-' ? '_' : *p;
        (void)snprintf(text, sizeof text, "return { %s = { {} } }", key); /* wrong for every key */
        assert_true(load(f, text) < 0);
        bool unknown = strstr(f->err, "unknown key");
        /* the option of simulate is not the config's key of the same name */
        bool is_key = option_at(i)->action == OPTION_SETS || strcmp(option_at(i)->name, "uplinks") == 0;
        if (unknown == is_key)
            fail_msg("%s", f->err);
    }
}

static void uplinks_in_all_forms(void **state)
{
    struct fixture *f = *state;
    const struct config *c = &f->config;
    char text[ADDR_TEXT_MAX];

    must_load(f,
              "return { uplinks = {\n"
              "  'eth0@7', '192.0.2.1/2',\n"
              "  { interface = 'wwan0', name = 'lte', weight = 0.5, tier = 2, tags = { 'metered', 'slow' },\n"
              "    quota = '1.5T', rate = '20M', quota_per = 'week', quota_day = 5, quota_end = 'hard',\n"
              "    dns = { '192.0.2.53', '[2001:db8::53]:5353' } },\n"
              "  { address = '2001:db8::1', tags = {} },\n"
              "} }");
    assert_int_equal(c->n_uplinks, 4);
    assert_int_equal(c->uplinks[0].kind, UPLINK_INTERFACE);
    assert_string_equal(c->uplinks[0].interface, "eth0");
    assert_true(c->uplinks[0].weight == 7 && c->uplinks[0].tier == 1);
    assert_int_equal(c->uplinks[1].kind, UPLINK_ADDRESS);
    assert_true(c->uplinks[1].weight == 2);
    const struct uplink_spec *lte = &c->uplinks[2];
    assert_int_equal(lte->kind, UPLINK_INTERFACE);
    assert_string_equal(lte->interface, "wwan0");
    assert_string_equal(lte->name, "lte");
    assert_true(lte->weight == 0.5 && lte->tier == 2);
    assert_true(lte->rate == 20e6);
    assert_true(lte->quota.bytes == 1.5e12 && lte->quota.per == QUOTA_WEEK && lte->quota.day == 5 &&
                lte->quota.hard);
    char servers[DNS_SERVERS_TEXT_MAX];
    assert_string_equal(dns_servers_format(&lte->dns, servers), "192.0.2.53, [2001:db8::53]:5353");
    assert_int_equal(lte->n_tags, 2);
    assert_string_equal(lte->tags[0], "metered");
    assert_string_equal(lte->tags[1], "slow");
    assert_int_equal(c->uplinks[3].kind, UPLINK_ADDRESS);
    assert_string_equal(addr_format_ip(&c->uplinks[3].address, text), "2001:db8::1");
    assert_true(c->uplinks[3].weight == 1 && c->uplinks[3].tier == 1);
    assert_string_equal(c->uplinks[3].name, "");
}

static void what_is_wrong_is_named(void **state)
{
    static const char *const bad[][2] = {
        {"return { prot = 1 }", "config.lua: prot: unknown key; did you mean port?"},
        {"return { ['dial-timeout'] = 1 }",
         "config.lua: dial-timeout: unknown key; did you mean dial_timeout?"},
        {"return { uplink = {} }", "config.lua: uplink: unknown key; did you mean uplinks?"},
        {"return { something = 1 }", "config.lua: something: unknown key (those known are"},
        {"return { config = 'x' }", "config.lua: config: unknown key"},
        {"return { help = true }", "config.lua: help: unknown key"},
        {"return { 1 }", "config.lua: expected a table with names as keys"},
        {"return { port = 70000 }", "config.lua: port: 70000 is not a port (1 to 65535, 0 for a free one)"},
        {"return { port = 1.5 }", "config.lua: port: '1.5' is not a port"},
        {"return { port = '1080' }", "config.lua: port: expected a number; write a number without quotes"},
        {"return { uplinks = {} }",
         "config.lua: uplinks: the list is empty; leave uplinks out to use every link of this machine"},
        {"return { uplinks = { os.getenv 'NO_SUCH_VARIABLE' } }", "config.lua: uplinks: the list is empty"},
        {"return { uplinks = { { interface = 'eth0', tier = '2' } } }",
         "to 1000; write a number without quotes"},
        {"return { uplinks = { { interface = 'eth0', weight = '7' } } }", "write a number without quotes"},
        {"return { port = { 1 } }", "config.lua: port: expected a number"},
        {"return { http = 1 }", "config.lua: http: expected true or false"},
        {"return { debug = 'yes' }", "config.lua: debug: expected true or false"},
        {"return { listen = 1080 }", "config.lua: listen: expected a text or a list of texts"},
        {"return { listen = { 1080 } }", "config.lua: listen: expected a text or a list of texts"},
        {"return { listen = { '127.0.0.1:1', '127.0.0.1' } }",
         "config.lua: listen: '127.0.0.1' is not ADDRESS:PORT"},
        {"return { allow = {} }", "config.lua: allow: expected a text or a list of texts"},
        {"return { auth = {} }", "config.lua: auth: expected a text or a list of texts"},
        {"return { auth = { 'a:1', 'SECRET' } }", "config.lua: auth: expected USER:PASS"},
        {"return { auth = { a = 'SECRET' } }", "config.lua: auth: expected a text or a list"},
        {"return { auth = 'a:SECRET\\0x' }", "config.lua: auth: expected a text"},
        {"return { auth_file = 'none' }", "/none: No such file or directory"},
        {"return { policy = 1 }", "config.lua: policy: expected a text"},
        {"return { policy = '' }", "config.lua: policy: expected a text that is not empty"},
        {"return { set = 'a=b' }", "config.lua: set: expected a table { key = value }"},
        {"return { set = { 'a=b' } }", "config.lua: set: expected a table { key = value }"},
        {"return { set = { a = {} } }", "config.lua: set: a: expected a text, number, true or false"},
        {"return { dial_timeout = 0 }",
         "config.lua: dial_timeout: '0' is not a time in seconds (0.1 to 86400)"},
        {"return { dial_timeout = '5' }", "config.lua: dial_timeout: expected a number"},
        {"return { log_format = 'xml' }", "config.lua: log_format: 'xml' is not text or json"},
        {"return { data_dir = true }", "config.lua: data_dir: expected a text"},
        {"return { uplinks = 'eth0' }", "config.lua: uplinks: expected a list such as"},
        {"return { uplinks = { eth0 = 1 } }", "config.lua: uplinks: expected a list such as"},
        {"return { uplinks = { 'eth0', 7 } }", "config.lua: uplinks[2]: expected a text such as"},
        {"return { uplinks = { 'eth0@0' } }", "config.lua: uplinks[1]: uplink \"eth0@0\": the weight"},
        {"return { uplinks = { {} } }",
         "config.lua: uplinks[1]: expected either interface, address or upstream"},
        {"return { uplinks = { { interface = 'a', address = '192.0.2.1' } } }",
         "config.lua: uplinks[1]: expected either interface, address or upstream, no two of them"},
        {"return { uplinks = { { interface = 'a', via = 'b' } } }", "uplinks[1].via: is for a parent proxy"},
        {"return { uplinks = { { upstream = 'socks5://h' } } }", "uplinks[1].upstream: expected host:port"},
        {"return { uplinks = { { upstream = 5 } } }", "uplinks[1].upstream: expected a URL"},
        {"return { uplinks = { { upstream = 'socks5://h:1', via = 'a/b' } } }",
         "uplinks[1].via: expected an interface or an address of this machine"},
        {"return { uplinks = { { interface = 'a', gateway = 'b' } } }",
         "uplinks[1].gateway: expected a router's address"},
        {"return { uplinks = { { address = '192.0.2.1', gateway = '192.0.2.2' } } }",
         "uplinks[1].gateway: is for an interface"},
        {"return { uplinks = { { interface = 'a', mark = 0 } } }",
         "uplinks[1].mark: expected a whole number from 1 to 0xffffffff"},
        {"return { uplinks = { { interface = 'a b' } } }",
         "config.lua: uplinks[1].interface: expected the name of a"},
        {"return { uplinks = { { interface = ('e'):rep(128) } } }",
         "uplinks[1].interface: expected the name"},
        {"return { uplinks = { { interface = 7 } } }", "uplinks[1].interface: expected the name"},
        {"return { uplinks = { { address = 'x' } } }",
         "uplinks[1].address: expected an address of this machine"},
        {"return { uplinks = { { address = '0.0.0.0' } } }", "uplinks[1].address: expected an address"},
        {"return { uplinks = { { address = '192.0.2.1@3' } } }", "uplinks[1].address: expected an address"},
        {"return { uplinks = { { interface = 'a', weigth = 1 } } }",
         "config.lua: uplinks[1].weigth: unknown key; did you mean weight?"},
        {"return { uplinks = { { interface = 'a', mtu = 1 } } }",
         "uplinks[1].mtu: unknown key (known: interface, address, name, weight, tier, tags, quota, rate, "
         "quota_per, "
         "quota_day, quota_end, dns, check, portal, gateway, mark, ipv6_source, upstream, via)"},
        {"return { uplinks = { { interface = 'a', ipv6_source = 'privacy' } } }",
         "uplinks[1].ipv6_source: expected \"system\", \"temporary\" or \"stable\""},
        {"return { uplinks = { { interface = 'a', ipv6_source = 1 } } }",
         "uplinks[1].ipv6_source: expected \"system\""},
        {"return { uplinks = { { address = '2001:db8::1', ipv6_source = 'stable' } } }",
         "uplinks[1].ipv6_source: is for an interface"},
        {"return { uplinks = { { upstream = 'socks5://h:1', via = '192.0.2.1', ipv6_source = 'stable' } } }",
         "uplinks[1].ipv6_source: is for an interface, or for a parent proxy that is reached via one"},
        {"return { uplinks = { { interface = 'a', quota = '20GB' } } }",
         "uplinks[1].quota: expected bytes, such as \"20G\""},
        {"return { uplinks = { { interface = 'a', rate = '2MB' } } }",
         "uplinks[1].rate: expected bytes a second, such as \"2M\", from 1K to 1T"},
        {"return { uplinks = { { interface = 'a', rate = 999 } } }",
         "uplinks[1].rate: expected bytes a second"},
        {"return { uplinks = { { interface = 'a', quota = 0 } } }", "uplinks[1].quota: expected bytes"},
        {"return { uplinks = { { interface = 'a', quota = '20G', quota_per = 'year' } } }",
         "uplinks[1].quota_per: expected \"day\", \"week\" or \"month\""},
        {"return { uplinks = { { interface = 'a', quota = '20G', quota_day = 32 } } }",
         "uplinks[1].quota_day: expected a day"},
        {"return { uplinks = { { interface = 'a', quota = 1, quota_per = 'week', quota_day = 8 } } }",
         "uplinks[1].quota_day: expected a day of the week"},
        {"return { uplinks = { { interface = 'a', quota = 1, quota_per = 'day', quota_day = 1 } } }",
         "uplinks[1].quota_day: a quota per day begins at midnight"},
        {"return { uplinks = { { interface = 'a', quota = 1, quota_end = 'never' } } }",
         "uplinks[1].quota_end: expected \"soft\" or \"hard\""},
        {"return { uplinks = { { interface = 'a', dns = 'example.org' } } }",
         "uplinks[1].dns: expected DNS servers"},
        {"return { uplinks = { { interface = 'a', dns = { '192.0.2.53', 5 } } } }",
         "uplinks[1].dns: expected DNS servers"},
        {"return { uplinks = { { interface = 'a', check = 'example.org' } } }",
         "uplinks[1].check: expected targets"},
        {"return { uplinks = { { interface = 'a', check = { 'none', 'a:1' } } } }",
         "uplinks[1].check: expected targets"},
        {"return { uplinks = { { interface = 'a', check = 'a:1,b:2,c:3,d:4,e:5' } } }",
         "uplinks[1].check: more than 4 targets"},
        {"return { uplinks = { { interface = 'a', portal = 'http://x/' } } }",
         "uplinks[1].portal: expected names or addresses of the captive portal"},
        {"return { uplinks = { { interface = 'a', portal = { 'a.example', 5 } } } }",
         "uplinks[1].portal: expected names or addresses"},
        {"return { uplinks = { { interface = 'a', portal = {} } } }",
         "uplinks[1].portal: expected names or addresses"},
        {"return { uplinks = { { interface = 'a', dns = {} } } }", "uplinks[1].dns: expected DNS servers"},
        {"return { uplinks = { { interface = 'a', dns = '::1,::2,::3,::4,::5,::6,::7,::8,::9' } } }",
         "uplinks[1].dns: more than 8 servers"},
        {"return { uplinks = { { interface = 'a', quota_day = 15 } } }",
         "uplinks[1].quota_day: needs a quota"},
        {"return { uplinks = { { interface = 'a', weight = 0 } } }",
         "uplinks[1].weight: expected a number above 0 and at most 1000000"},
        {"return { uplinks = { { interface = 'a', weight = 1000001 } } }",
         "uplinks[1].weight: expected a number"},
        {"return { uplinks = { { interface = 'a', weight = '1' } } }",
         "uplinks[1].weight: expected a number"},
        {"return { uplinks = { { interface = 'a', tier = 0 } } }",
         "uplinks[1].tier: expected a whole number from 1"},
        {"return { uplinks = { { interface = 'a', tier = 1.5 } } }",
         "uplinks[1].tier: expected a whole number"},
        {"return { uplinks = { { interface = 'a', tier = 1001 } } }",
         "uplinks[1].tier: expected a whole number"},
        {"return { uplinks = { { interface = 'a', name = '' } } }",
         "uplinks[1].name: expected a name of 1 to 63"},
        {"return { uplinks = { { interface = 'a', name = 'a b' } } }",
         "uplinks[1].name: expected a name of 1 to 63"},
        {"return { uplinks = { { interface = 'a', tags = 'x' } } }",
         "uplinks[1].tags: expected a list of at most 8"},
        {"return { uplinks = { { interface = 'a', tags = { 'x', 1 } } } }",
         "uplinks[1].tags: expected words"},
        {"return { uplinks = { { interface = 'a', tags = { '1', '2', '3', '4', '5', '6', '7', '8', '9' } } } "
         "}",
         "uplinks[1].tags: expected a list of at most 8"},
        {"local t = {} for i = 1, 65 do t[i] = 'eth' .. i end return { uplinks = t }",
         "config.lua: uplinks[65]: more than 64 uplinks"},
        {"return {\n port = = 1 }", "config.lua:2: "},
        {"return 7", "config.lua: expected the file to return a table"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (load(f, bad[i][0]) >= 0)
            fail_msg("taken for good: %s", bad[i][0]);
        if (!strstr(f->err, bad[i][1]))
            fail_msg("expected: %s\ngot: %s", bad[i][1], f->err);
        assert_non_null(strstr(f->err, f->dir)); /* the error names the file */
        assert_null(strstr(f->err, "SECRET"));
        assert_null(strchr(f->err, '\n'));
    }
}

static void of_two_faults_the_same_is_always_told(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 8; i++) {
        assert_true(load(f, "return { log_format = 1, port = 'x', dial_timeout = 'x', uplinks = 1 }") < 0);
        assert_non_null(strstr(f->err, "config.lua: port: "));
    }
}

static void a_file_that_is_missing_is_named(void **state)
{
    struct fixture *f = *state;

    assert_true(config_file_load(&f->config, "/nonexistent/config.lua", LUA_DIR, f->err) < 0);
    assert_non_null(strstr(f->err, "/nonexistent/config.lua: No such file or directory"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(every_option_has_a_key),          T(a_file_in_the_present_folder),
        T(every_row_of_the_table_is_a_key), T(uplinks_in_all_forms),
        T(what_is_wrong_is_named),          T(of_two_faults_the_same_is_always_told),
        T(a_file_that_is_missing_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
