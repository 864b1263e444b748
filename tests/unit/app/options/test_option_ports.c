/* The options of forwards and transparent listeners: what they take, and how they refuse the rest. */
#include "options/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int set(struct config *c, const char *option, const char *value, char *err)
{
    const struct option_value v = {.option = option_by_name(slice_str(option)), .text = value};
    bool file;

    assert_non_null(v.option);
    return options_apply(c, &v, 1, &file, err);
}

static void a_forward_has_places_and_a_destination(void **state)
{
    static const struct {
        const char *value, *places[2], *host;
        uint16_t port;
        bool udp;
    } cases[] = {
        {"tcp:127.0.0.1:5432=db.Example.org:5433", {"127.0.0.1:5432", NULL}, "db.example.org", 5433, false},
        {"TCP:[::1]:22=192.0.2.1:2222", {"[::1]:22", NULL}, "192.0.2.1", 2222, false},
        {"tcp:0.0.0.0:443=[2001:db8::1]:443", {"0.0.0.0:443", NULL}, "2001:db8::1", 443, false},
        {"tcp:localhost:80=a:1", {"127.0.0.1:80", "[::1]:80"}, "a", 1, false},
        {"tcp:8080=a:65535", {"127.0.0.1:8080", "[::1]:8080"}, "a", 65535, false},
        {"tcp:0=a:1", {"127.0.0.1:0", "[::1]:0"}, "a", 1, false},
        {"udp:*:53=192.0.2.53:53", {"0.0.0.0:53", "[::]:53"}, "192.0.2.53", 53, true},
    };
    char err[CONFIG_ERROR_MAX], text[LISTEN_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config c;
        config_init(&c);
        assert_int_equal(set(&c, "forward", cases[i].value, err), 0);
        assert_int_equal(c.n_forwards, 1);
        const struct config_forward *f = &c.forwards[0];
        assert_int_equal(f->udp, cases[i].udp);
        assert_string_equal(f->to.host, cases[i].host);
        assert_int_equal(f->to.port, cases[i].port);
        assert_int_equal(f->ports.n_places, cases[i].places[1] ? 2 : 1);
        for (size_t j = 0; j < f->ports.n_places; j++)
            assert_string_equal(listen_place_text(&f->ports.places[j], text), cases[i].places[j]);
        config_done(&c);
    }
}

static void a_transparent_listener_has_a_kind_and_places(void **state)
{
    char err[CONFIG_ERROR_MAX], text[LISTEN_TEXT_MAX];
    struct config c;

    (void)state;
    config_init(&c);
    assert_int_equal(set(&c, "transparent", "tproxy:[::1]:12345", err), 0);
    assert_true(c.transparents[0].tproxy);
    assert_string_equal(listen_place_text(&c.transparents[0].ports.places[0], text), "[::1]:12345");
    assert_int_equal(set(&c, "transparent", "redirect:*:1", err), 0);
    assert_int_equal(c.n_transparents, 1); /* the command line replaces what was there */
    assert_false(c.transparents[0].tproxy);
    assert_int_equal(c.transparents[0].ports.n_places, 2);
    assert_false(c.transparent_resolve);
    assert_int_equal(set(&c, "transparent-resolve", "", err), 0);
    assert_true(c.transparent_resolve);
    assert_true(c.peek_timeout_s > 0);
    assert_int_equal(set(&c, "peek-timeout", "0", err), 0);
    assert_false(c.peek_timeout_s > 0);
    config_done(&c);
}

static void what_is_wrong_is_said(void **state)
{
    static const struct {
        const char *option, *value, *wrong;
    } cases[] = {
        {"forward", "", "expected tcp:ADDRESS:PORT=HOST:PORT"},
        {"forward", "tcp", "expected tcp:ADDRESS:PORT=HOST:PORT"},
        {"forward", "tcp:", "expected tcp:ADDRESS:PORT=HOST:PORT"},
        {"forward", "127.0.0.1:80=192.0.2.1:80", "expected tcp:ADDRESS:PORT=HOST:PORT"},
        {"forward", "sctp:127.0.0.1:80=192.0.2.1:80", "expected tcp:ADDRESS:PORT=HOST:PORT"},
        {"forward", "tcp:127.0.0.1:80", "expected tcp:ADDRESS:PORT=HOST:PORT"},
        {"forward", "tcp:80-90=192.0.2.1:80", "from one port to one port"},
        {"forward", "tcp:127.0.0.1:80=192.0.2.1:80-90", "from one port to one port"},
        {"forward", "tcp:127.0.0.1:80=2001:db8::1:443", "an IPv6 address needs brackets"},
        {"forward", "tcp:127.0.0.1:80=192.0.2.1", "'192.0.2.1' is not HOST:PORT"},
        {"forward", "tcp:127.0.0.1:80=192.0.2.1:0", "is not HOST:PORT"},
        {"forward", "tcp:127.0.0.1:80=", "'' is not HOST:PORT"},
        {"forward", "tcp:somewhere:80=192.0.2.1:80", "'somewhere:80' is not ADDRESS:PORT"},
        {"forward", "tcp:=192.0.2.1:80", "'' is not ADDRESS:PORT"},
        {"forward", "tcp:127.0.0.1:99999=192.0.2.1:80", "99999 is not a port"},
        {"forward", "tcp:99999=192.0.2.1:80", "99999 is not a port"},
        {"transparent", "127.0.0.1:1", "expected redirect:ADDRESS:PORT or tproxy:ADDRESS:PORT"},
        {"transparent", "tproxy:", "'' is not ADDRESS:PORT"},
        {"transparent", "redirect:nowhere", "'nowhere' is not ADDRESS:PORT"},
        {"peek-timeout", "-1", "-1"},
    };
    char err[CONFIG_ERROR_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config c;
        config_init(&c);
        assert_true(set(&c, cases[i].option, cases[i].value, err) < 0);
        if (!strstr(err, cases[i].wrong))
            fail_msg("%s: '%s' lacks '%s'", cases[i].value, err, cases[i].wrong);
        assert_int_equal(c.n_forwards + c.n_transparents, 0);
        config_done(&c);
    }
}

static void there_is_room_for_so_many(void **state)
{
    struct option_value v[CONFIG_LISTEN_MAX + 1];
    char err[CONFIG_ERROR_MAX];
    struct config c;
    bool file;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        v[i] = (struct option_value){option_by_name(slice_str("forward")), "tcp:0=a:1"};
    config_init(&c);
    assert_int_equal(options_apply(&c, v, CONFIG_LISTEN_MAX, &file, err), 0);
    assert_true(options_apply(&c, v, CONFIG_LISTEN_MAX + 1, &file, err) < 0);
    assert_non_null(strstr(err, "at most 32 forwards"));
    config_done(&c);
}

static void a_forward_may_be_of_udp(void **state)
{
    char err[CONFIG_ERROR_MAX];
    struct config c;

    (void)state;
    config_init(&c);
    assert_int_equal(set(&c, "forward", "udp:1=a:1", err), 0);
    assert_int_equal(config_finish(&c, err), 0);
    assert_true(c.forwards[0].udp);
    config_done(&c);
}

struct given {
    const char *option, *value;
};
enum { GIVEN_MAX = 4 };

/* @return what was said; "" for no refusal */
static const char *said_of(const struct given given[GIVEN_MAX], char err[CONFIG_ERROR_MAX])
{
    struct option_value v[GIVEN_MAX];
    struct config c;
    size_t n = 0;
    bool file;

    for (; n < GIVEN_MAX && given[n].option; n++) {
        v[n] = (struct option_value){option_by_name(slice_str(given[n].option)), given[n].value};
        assert_non_null(v[n].option);
    }
    err[0] = '\0';
    config_init(&c);
    assert_int_equal(options_apply(&c, v, n, &file, err), 0);
    int r = config_finish(&c, err);
    config_done(&c);
    assert_int_equal(r < 0, err[0] != '\0');
    return err;
}

#define BOTH_USE(one, other, port)                                                                           \
    one " and " other " both use " port ": give one another port, or leave it out"

static void options_that_need_one_port_are_refused(void **state)
{
    static const struct {
        struct given given[GIVEN_MAX];
        const char *said;
    } cases[] = {
        /* two forwards */
        {{{"forward", "tcp:127.0.0.1:5=a:1"}, {"forward", "tcp:127.0.0.1:5=b:2"}},
         BOTH_USE("--forward tcp:127.0.0.1:5=a:1", "--forward tcp:127.0.0.1:5=b:2", "TCP port 5")},
        {{{"forward", "udp:[::1]:5=[2001:db8::1]:1"}, {"forward", "udp:5=b:2"}},
         BOTH_USE("--forward udp:[::1]:5=[2001:db8::1]:1", "--forward udp:[::1]:5=b:2", "UDP port 5")},
        {{{"forward", "tcp:*:5=a:1"}, {"forward", "tcp:127.0.0.1:5=b:2"}},
         BOTH_USE("--forward tcp:0.0.0.0:5=a:1", "--forward tcp:127.0.0.1:5=b:2", "TCP port 5")},
        {{{"forward", "tcp:[::1]:5=a:1"}, {"forward", "tcp:[::]:5=b:2"}},
         BOTH_USE("--forward tcp:[::1]:5=a:1", "--forward tcp:[::]:5=b:2", "TCP port 5")},
        {{{"forward", "udp:127.0.0.1:5=a:1"}, {"forward", "udp:127.0.0.1:5=a:1"}},
         "--forward udp:127.0.0.1:5=a:1 is given twice"},
        {{{"forward", "udp:127.0.0.1:5=a:1"}, {"forward", "tcp:127.0.0.1:5=a:1"}}, ""},
        {{{"forward", "tcp:127.0.0.1:5=a:1"}, {"forward", "tcp:127.0.0.2:5=a:1"}}, ""},
        {{{"forward", "tcp:0.0.0.0:5=a:1"}, {"forward", "tcp:[::]:5=a:1"}}, ""},
        {{{"forward", "tcp:127.0.0.1:5=a:1"}, {"forward", "tcp:127.0.0.1:6=a:1"}}, ""},
        {{{"forward", "tcp:0=a:1"}, {"forward", "tcp:0=b:1"}, {"port", "0"}}, ""},
        /* a forward to itself, as far as the config tells */
        {{{"forward", "tcp:127.0.0.1:5=127.0.0.1:5"}},
         "--forward tcp:127.0.0.1:5=127.0.0.1:5 leads to itself"},
        {{{"forward", "udp:*:5=[::1]:5"}}, "--forward udp:0.0.0.0:5=[::1]:5 leads to itself"},
        {{{"forward", "udp:[::]:5=[::1]:5"}}, "--forward udp:[::]:5=[::1]:5 leads to itself"},
        {{{"forward", "tcp:192.0.2.1:5=192.0.2.1:5"}},
         "--forward tcp:192.0.2.1:5=192.0.2.1:5 leads to itself"},
        {{{"forward", "tcp:127.0.0.1:5=127.0.0.1:6"}}, ""},
        {{{"forward", "tcp:127.0.0.1:5=127.0.0.2:5"}}, ""},
        {{{"forward", "tcp:0.0.0.0:5=192.0.2.1:5"}}, ""},
        {{{"forward", "tcp:0.0.0.0:5=[::1]:5"}}, ""},
        {{{"forward", "tcp:127.0.0.1:5=localhost:5"}},
         "--forward tcp:127.0.0.1:5=localhost:5 leads to itself"},
        {{{"forward", "udp:*:5=my.localhost:5"}}, "--forward udp:0.0.0.0:5=my.localhost:5 leads to itself"},
        {{{"forward", "udp:127.0.0.1:5=0.0.0.0:5"}}, "--forward udp:127.0.0.1:5=0.0.0.0:5 leads to itself"},
        {{{"forward", "tcp:[::1]:5=localhost:5"}}, ""}, /* localhost means 127.0.0.1 */
        {{{"forward", "udp:127.0.0.1:5=localhost:6"}}, ""},
        {{{"forward", "udp:127.0.0.1:5=localhost:6"}, {"forward", "udp:127.0.0.1:6=127.0.0.1:5"}},
         "--forward udp:127.0.0.1:5=localhost:6 leads to itself, by other forwards"},
        {{{"forward", "udp:127.0.0.1:5=127.0.0.1:6"}, {"forward", "udp:127.0.0.1:6=127.0.0.1:5"}},
         "--forward udp:127.0.0.1:5=127.0.0.1:6 leads to itself, by other forwards"},
        {{{"forward", "udp:127.0.0.1:4=127.0.0.1:5"},
          {"forward", "udp:127.0.0.1:5=127.0.0.1:6"},
          {"forward", "udp:*:6=127.0.0.1:5"}},
         "--forward udp:127.0.0.1:5=127.0.0.1:6 leads to itself, by other forwards"},
        {{{"forward", "udp:127.0.0.1:5=127.0.0.1:6"}, {"forward", "udp:127.0.0.1:6=127.0.0.1:7"}}, ""},
        {{{"forward", "udp:127.0.0.1:5=127.0.0.1:6"}, {"forward", "tcp:127.0.0.1:6=127.0.0.1:5"}}, ""},
        /* the proxy's listeners, given and not */
        {{{"forward", "tcp:127.0.0.1:1080=a:1"}},
         BOTH_USE("--forward tcp:127.0.0.1:1080=a:1", "the listener 127.0.0.1:1080 (of --host and --port)",
                  "TCP port 1080")},
        {{{"forward", "tcp:127.0.0.1:1080=a:1"}, {"port", "1081"}}, ""},
        {{{"forward", "tcp:127.0.0.1:1081=a:1"}, {"port", "1081"}},
         BOTH_USE("--forward tcp:127.0.0.1:1081=a:1", "the listener 127.0.0.1:1081 (of --host and --port)",
                  "TCP port 1081")},
        {{{"forward", "tcp:127.0.0.1:1080=a:1"}, {"listen", "127.0.0.1:7"}}, ""},
        {{{"forward", "tcp:127.0.0.1:7=a:1"}, {"listen", "*:7"}},
         BOTH_USE("--forward tcp:127.0.0.1:7=a:1", "--listen 0.0.0.0:7", "TCP port 7")},
        {{{"forward", "udp:127.0.0.1:1080=a:1"}}, ""},
        {{{"listen", "*:7"}, {"listen", "127.0.0.1:7"}},
         BOTH_USE("--listen 0.0.0.0:7", "--listen 127.0.0.1:7", "TCP port 7")},
        {{{"listen", "0.0.0.0:7"}, {"port", "7"}},
         BOTH_USE("--listen 0.0.0.0:7", "the listener 127.0.0.1:7 (of --host and --port)", "TCP port 7")},
        {{{"listen", "127.0.0.1:7"}, {"listen", "127.0.0.1:7"}}, ""}, /* one listener */
        {{{"listen", "127.0.0.1:7,proxy-protocol"}, {"listen", "127.0.0.2:7"}}, ""},
        /* captured connections and datagrams */
        {{{"transparent", "redirect:*:7"}, {"transparent", "tproxy:127.0.0.1:7"}},
         BOTH_USE("--transparent redirect:0.0.0.0:7", "--transparent tproxy:127.0.0.1:7", "TCP port 7")},
        {{{"transparent", "redirect:*:7"}, {"transparent", "redirect:*:7"}},
         "--transparent redirect:0.0.0.0:7 is given twice"},
        {{{"transparent", "redirect:*:7"}, {"listen", "127.0.0.1:7"}},
         BOTH_USE("--transparent redirect:0.0.0.0:7", "--listen 127.0.0.1:7", "TCP port 7")},
        {{{"transparent", "redirect:*:7"}, {"forward", "tcp:7=a:1"}},
         BOTH_USE("--forward tcp:127.0.0.1:7=a:1", "--transparent redirect:0.0.0.0:7", "TCP port 7")},
        {{{"transparent", "tproxy:*:7"}, {"forward", "udp:7=a:1"}},
         BOTH_USE("--forward udp:127.0.0.1:7=a:1", "--transparent tproxy:0.0.0.0:7", "UDP port 7")},
        {{{"transparent", "redirect:*:7"}, {"forward", "udp:7=a:1"}}, ""},
        /* the ports of associations, at the addresses of the listeners */
        {{{"udp-ports", "5300"}, {"forward", "udp:127.0.0.1:5300=a:1"}},
         BOTH_USE("--forward udp:127.0.0.1:5300=a:1", "--udp-ports 5300", "UDP port 5300")},
        {{{"udp-ports", "5300-5300"}, {"forward", "udp:5300=a:1"}},
         BOTH_USE("--forward udp:127.0.0.1:5300=a:1", "--udp-ports 5300", "UDP port 5300")},
        /* of a range, another port is taken */
        {{{"udp-ports", "5000-6000"}, {"forward", "udp:5300=a:1"}}, ""},
        {{{"udp-ports", "5300-5301"}, {"forward", "udp:5300=a:1"}}, ""},
        {{{"udp-ports", "1-65535"}, {"forward", "udp:5300=a:1"}}, ""},
        {{{"udp-ports", "5300-5301"}, {"forward", "udp:5300=a:1"}, {"forward", "udp:*:5301=a:1"}},
         "--udp-ports 5300-5301: other options take all of these UDP ports at 127.0.0.1:1080; give a larger "
         "range"},
        {{{"udp-ports", "5300-5301"},
          {"forward", "udp:5300=a:1"},
          {"transparent", "tproxy:[::1]:5301"},
          {"listen", "127.0.0.1:7"}},
         ""},
        {{{"udp-ports", "5300-5301"},
          {"forward", "udp:5300=a:1"},
          {"transparent", "tproxy:[::1]:5301"},
          {"listen", "[::1]:7"}},
         "--udp-ports 5300-5301: other options take all of these UDP ports at [::1]:7; give a larger range"},
        {{{"udp-ports", "5300-5301"}, {"forward", "udp:5300=a:1"}, {"forward", "tcp:5301=a:1"}}, ""},
        {{{"udp-ports", "5300"}, {"forward", "tcp:5300=a:1"}}, ""},
        {{{"udp-ports", "5300"}, {"forward", "udp:127.0.0.2:5300=a:1"}}, ""},
        {{{"udp-ports", "5300"}, {"forward", "udp:127.0.0.2:5300=a:1"}, {"listen", "*:7"}},
         BOTH_USE("--forward udp:127.0.0.2:5300=a:1", "--udp-ports 5300", "UDP port 5300")},
        {{{"udp-ports", "5300"}, {"forward", "udp:0.0.0.0:5300=a:1"}},
         BOTH_USE("--forward udp:0.0.0.0:5300=a:1", "--udp-ports 5300", "UDP port 5300")},
        {{{"udp-ports", "5300"}, {"forward", "udp:0.0.0.0:5300=a:1"}, {"listen", "[::1]:7"}}, ""},
        {{{"udp-ports", "9"}, {"transparent", "tproxy:*:9"}},
         BOTH_USE("--transparent tproxy:0.0.0.0:9", "--udp-ports 9", "UDP port 9")},
        {{{"udp-ports", "9"}, {"transparent", "redirect:*:9"}}, ""},
        {{{"udp-ports", "1080"}}, ""},
        {{{"udp-ports", "5300"}, {"listen", "*:7"}, {"listen", "*:8"}}, ""},
    };
    char err[CONFIG_ERROR_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct given *g = cases[i].given;
        if (strcmp(said_of(g, err), cases[i].said) != 0)
            fail_msg("%s %s, …: '%s', not '%s'", g[0].option, g[0].value, err, cases[i].said);
    }
}

static bool unasked_may(const struct config *c, const char *client)
{
    struct addr a;

    assert_int_equal(addr_parse_ip(&a, slice_str(client), 0), 0);
    return access_client_allowed(config_unasked(c), &a);
}

/* A login opens the proxy's port to everybody. It must not open a forward, which asks for none. */
static void a_login_does_not_open_forwards(void **state)
{
    char err[CONFIG_ERROR_MAX];
    struct config c;

    (void)state;
    config_init(&c);
    assert_int_equal(set(&c, "auth", "ann:secret", err), 0);
    assert_int_equal(config_finish(&c, err), 0);
    assert_true(unasked_may(&c, "192.168.1.7") && unasked_may(&c, "::1"));
    assert_false(unasked_may(&c, "203.0.113.7"));
    config_done(&c);
    config_init(&c);
    assert_int_equal(set(&c, "auth", "ann:secret", err), 0);
    assert_int_equal(set(&c, "allow", "203.0.113.0/24", err), 0);
    assert_int_equal(config_finish(&c, err), 0);
    assert_true(unasked_may(&c, "203.0.113.7"));
    assert_false(unasked_may(&c, "192.168.1.7"));
    config_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_forward_has_places_and_a_destination),
        cmocka_unit_test(a_transparent_listener_has_a_kind_and_places),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(there_is_room_for_so_many),
        cmocka_unit_test(a_forward_may_be_of_udp),
        cmocka_unit_test(options_that_need_one_port_are_refused),
        cmocka_unit_test(a_login_does_not_open_forwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
