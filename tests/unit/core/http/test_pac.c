/* The script for browsers: who gets it, how it names the proxy, and what may stand in it. What it decides is
 * tested by running it (tests/e2e/test_pac.py). */
#include "inbound/desk.h"

#include "http/pac.h"

static struct pac pac;

static int setup(void **state)
{
    assert_int_equal(desk_setup(state), 0);
    struct desk *d = *state;
    d->proxy.settings.pac = &pac;
    return 0;
}

static int teardown(void **state)
{
    pac_done(&pac);
    return desk_teardown(state);
}

/* Ask, and read the whole answer up to the end of the connection. @return valid until the next call */
static const char *fetch(struct desk *d, const char *request)
{
    static char in[8192];
    int client = desk_client(d);
    size_t n = 0;

    desk_say_str(client, request);
    d->want = slice_str("the script");
    for (;;) {
        desk_await(d, client);
        ssize_t got = recv(client, in + n, sizeof in - 1 - n, 0);
        if (got <= 0)
            break;
        n += (size_t)got;
        assert_true(n < sizeof in - 1);
    }
    in[n] = '\0';
    desk_close(d, client);
    desk_await_closed(d);
    return in;
}

static void assert_has(const char *answer, const char *part)
{
    if (!strstr(answer, part))
        fail_msg("'%s' lacks '%s'", answer, part);
}

static void assert_lacks(const char *answer, const char *part)
{
    if (strstr(answer, part))
        fail_msg("'%s' has '%s'", answer, part);
}

static const char *body_of(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");

    assert_non_null(end);
    return end + 4;
}

/* --- the answer ----------------------------------------------------------------------------------------- */

static void both_names_get_the_script(void **state)
{
    struct desk *d = *state;
    char length[64];

    const char *answer = fetch(d, "GET /proxy.pac HTTP/1.1\r\nHost: proxy.lan:1080\r\n\r\n");
    assert_has(answer, "HTTP/1.1 200 OK\r\n");
    assert_has(answer, "\r\nContent-Type: application/x-ns-proxy-autoconfig\r\n");
    assert_has(answer, "\r\nX-Content-Type-Options: nosniff\r\n");
    assert_has(answer, "\r\nCache-Control: private, max-age=300\r\n");
    assert_has(answer, "\r\nConnection: close\r\n");
    (void)snprintf(length, sizeof length, "\r\nContent-Length: %zu\r\n", strlen(body_of(answer)));
    assert_has(answer, length);
    assert_has(body_of(answer), "function FindProxyForURL(url, host) {\n");
    char *script = strdup(body_of(answer));
    assert_non_null(script);
    answer = fetch(d, "GET /wpad.dat HTTP/1.1\r\nHost: proxy.lan:1080\r\n\r\n");
    assert_string_equal(body_of(answer), script);
    free(script);
    answer = fetch(d, "HEAD /proxy.pac HTTP/1.1\r\nHost: proxy.lan:1080\r\n\r\n");
    assert_has(answer, length);
    assert_string_equal(body_of(answer), "");
    assert_int_equal(fixture_log_count(d->f, "rejected"), 0);
}

static void other_requests_get_what_they_got(void **state)
{
    static const char *const requests[] = {
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /proxy.pac/ HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /proxy.pac?x HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET //proxy.pac HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /PROXY.PAC HTTP/1.1\r\nHost: h\r\n\r\n",
        "get /proxy.pac HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /proxy.pac HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
        "OPTIONS /wpad.dat HTTP/1.1\r\nHost: h\r\n\r\n",
    };
    struct desk *d = *state;

    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        assert_has(fetch(d, requests[i]), "HTTP/1.1 421 Misdirected Request\r\n");
    d->proxy.settings.pac = NULL;
    assert_has(fetch(d, "GET /proxy.pac HTTP/1.1\r\nHost: h\r\n\r\n"),
               "HTTP/1.1 421 Misdirected Request\r\n");
}

/* A client without a request must not be able to keep the loop busy. */
static void one_connection_gets_it_once(void **state)
{
    struct desk *d = *state;
    const char *answer =
        fetch(d, "GET /proxy.pac HTTP/1.1\r\nHost: h\r\n\r\nGET /proxy.pac HTTP/1.1\r\nHost: h\r\n\r\n");

    assert_has(answer, "HTTP/1.1 200 OK\r\n");
    assert_null(strstr(answer + 1, "HTTP/1.1 "));
    desk_no_connection(d);
}

/* --- the name of the proxy ------------------------------------------------------------------------------ */

static void it_is_named_as_the_browser_names_it(void **state)
{
    static const char *const table[][2] = {
        {"proxy.lan:1080", "\"SOCKS5 proxy.lan:1080; PROXY proxy.lan:1080\""},
        {"PROXY.lan.:3128", "\"SOCKS5 proxy.lan:3128; PROXY proxy.lan:3128\""},
        {"192.0.2.9:80", "\"SOCKS5 192.0.2.9:80; PROXY 192.0.2.9:80\""},
        {"[2001:DB8::9]:80", "\"SOCKS5 [2001:db8::9]:80; PROXY [2001:db8::9]:80\""},
    };
    struct desk *d = *state;
    char request[512];

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        (void)snprintf(request, sizeof request, "GET /proxy.pac HTTP/1.1\r\nHost: %s\r\n\r\n", table[i][0]);
        assert_has(fetch(d, request), table[i][1]);
    }
}

/* What is not a host must not get into the script. Then the address counts that the client has reached. */
static void what_is_not_a_host_is_not_repeated(void **state)
{
    static const char *const hosts[] = {
        "Host: x\"+alert(1)+\":80\r\n",
        "Host: a;b\r\n",
        "Host: a b\r\n",
        "Host: a\\u0022\r\n",
        "Host: <!--\r\n",
        "Host: \xe2\x80\xa8:80\r\n",
        "Host: a:0\r\n",
        "Host: a:99999\r\n",
        "Host:\r\n",
        "Host: a/b\r\n",
        "Host: user@h:80\r\n",
        "Host: 127.1\r\n",
        "Host: [::1%25a]\r\n",
        "",
    };
    struct desk *d = *state;
    char request[512];

    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        (void)snprintf(request, sizeof request, "GET /proxy.pac HTTP/1.%d\r\n%s\r\n", hosts[i][0] != '\0',
                       hosts[i]);
        const char *answer = fetch(d, request);
        assert_has(answer, "var proxy = \"SOCKS5 127.0.0.1:");
        for (const char *c = answer; *c; c++)
            assert_true((*c >= ' ' && *c < 0x7f) || *c == '\r' || *c == '\n');
        assert_lacks(answer, "alert");
        assert_lacks(answer, "u0022");
    }
    /* Without a port it is the port that the browser has reached. */
    assert_lacks(fetch(d, "GET /proxy.pac HTTP/1.1\r\nHost: proxy.lan\r\n\r\n"), "proxy.lan:80;");
}

static void passwords_go_by_http_only(void **state)
{
    struct desk *d = *state;

    assert_int_equal(access_add_user(&d->access, slice_str("ada:right")), 0);
    const char *answer = fetch(d, "GET /proxy.pac HTTP/1.1\r\nHost: h:1\r\n\r\n");
    assert_has(answer, "HTTP/1.1 200 OK\r\n"); /* without a login */
    assert_has(answer, "\"PROXY h:1\"");
}

static void it_fails_closed_unless_told_otherwise(void **state)
{
    struct desk *d = *state;

    pac.fall_back = true;
    assert_has(fetch(d, "GET /proxy.pac HTTP/1.1\r\nHost: h:1\r\n\r\n"), "\"SOCKS5 h:1; PROXY h:1; DIRECT\"");
    pac.fall_back = false;
    assert_has(fetch(d, "GET /proxy.pac HTTP/1.1\r\nHost: h:1\r\n\r\n"), "\"SOCKS5 h:1; PROXY h:1\"");
}

/* --- what goes direct ----------------------------------------------------------------------------------- */

static void names_and_ranges_are_listed(void **state)
{
    static const char *const good[] = {"Intranet.Example", "*.corp.example.", "lan", "10.0.0.0/8",
                                       "fd00::/8"},
                             *const bad[] = {"",    "*",           "*.",    "a b",  "a\"",     "a;b",
                                             "-\\", "10.0.0.0/33", "1.2.3", "a..b", "\xc3\xa4"};
    struct desk *d = *state;

    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_int_equal(pac_add(&pac, slice_str(good[i])), 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (pac_add(&pac, slice_str(bad[i])) != -EINVAL)
            fail_msg("'%s' was taken", bad[i]);
    const char *answer = fetch(d, "GET /proxy.pac HTTP/1.1\r\nHost: h:1\r\n\r\n");
    assert_has(answer, "names = [\"localhost\",\"local\",\"intranet.example\",\"corp.example\",\"lan\"];");
    assert_has(answer, "[8,10,0,0,0],[8,253,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]];");
    pac.no_local = true;
    answer = fetch(d, "GET /proxy.pac HTTP/1.1\r\nHost: h:1\r\n\r\n");
    assert_has(answer, "local = false;\n  var names = [\"intranet.example\",\"corp.example\",\"lan\"];");
    assert_has(answer, "ranges = [[8,10,0,0,0],[8,253,");
}

static void the_number_of_exceptions_is_limited(void **state)
{
    char name[300];
    int n = 0;

    memset(name, 'a', sizeof name);
    for (int i = 63; i < 253; i += 64)
        name[i] = '.';
    for (; pac_add(&pac, slice_of(name, 253)) == 0; n++)
        ;
    assert_int_equal(n, PAC_BYPASS_MAX);
    assert_int_equal(pac_add(&pac, slice_str("10.0.0.0/8")), -ENOSPC);
    /* They fit into an answer. */
    struct desk *d = *state;
    int client = desk_client(d);
    desk_say_str(client, "GET /proxy.pac HTTP/1.1\r\nHost: h:1\r\n\r\n");
    (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(both_names_get_the_script),
        ONE(other_requests_get_what_they_got),
        ONE(one_connection_gets_it_once),
        ONE(it_is_named_as_the_browser_names_it),
        ONE(what_is_not_a_host_is_not_repeated),
        ONE(passwords_go_by_http_only),
        ONE(it_fails_closed_unless_told_otherwise),
        ONE(names_and_ranges_are_listed),
        ONE(the_number_of_exceptions_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
