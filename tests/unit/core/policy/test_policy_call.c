/* Results of pick, the hooks, and the quarantine. */
#include "policy/fixture.h"

#include "policy/policy_internal.h"

/* The trial pick at load must succeed, so only port 1 does what the test is about. */
#define ON_PORT_1(pick_body) PICK("", "if conn.port ~= 1 then return uplinks[1] end\n" pick_body)

static struct policy_choice pick_conn(struct fixture *f, const struct policy_conn *conn)
{
    struct policy_choice choice;
    memset(&choice, 0xa5, sizeof choice);
    policy_pick(f->policy, conn, f->set.items, f->set.n, &choice);
    return choice;
}

static struct policy_choice pick_port_1(struct fixture *f)
{
    struct policy_conn conn = fixture_conn(1);
    conn.port = 1;
    return pick_conn(f, &conn);
}

static void an_uplink_with_and_without_a_reason(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, PICK("", "return uplinks[2], 'since I say so'"));
    struct policy_choice c = fixture_pick(f);
    assert_int_equal(c.verdict, POLICY_USE);
    assert_int_equal(c.n, 1);
    assert_ptr_equal(c.order[0], f->set.items[1]);
    assert_string_equal(c.reason, "since I say so");
    assert_true(c.timeout_s == 0);
    assert_false(c.by_default);
    FIXTURE_LOAD(f, PICK("", "return uplinks[2]"));
    assert_string_equal(fixture_pick(f).reason, "p"); /* the policy's name */
    FIXTURE_LOAD(f, PICK("", "return uplinks[2], ''"));
    assert_string_equal(fixture_pick(f).reason, "p");
}

static void a_long_reason_is_cut_between_characters(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, PICK("", "return uplinks[1], 'x' .. ('\xc3\xbc'):rep(80)"));
    assert_int_equal(strlen(fixture_pick(f).reason), 95);
    FIXTURE_LOAD(f, PICK("", "return uplinks[1], ('\xc3\xbc'):rep(80)"));
    assert_int_equal(strlen(fixture_pick(f).reason), 94);
}

static void a_list_is_an_order(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, PICK("", "return { uplinks[3], uplinks[1] }, 'as listed', { timeout = 2.5 }"));
    struct policy_choice c = fixture_pick(f);
    assert_int_equal(c.verdict, POLICY_USE);
    assert_int_equal(c.n, 2);
    assert_ptr_equal(c.order[0], f->set.items[2]);
    assert_ptr_equal(c.order[1], f->set.items[0]);
    assert_string_equal(c.reason, "as listed");
    assert_true(c.timeout_s == 2.5);
}

static void the_list_given_may_be_sorted_and_spoilt(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(
        f, PICK("local turn = 0",
                "turn = turn + 1\n"
                "assert(#uplinks == 3 and uplinks[1].id == 1 and uplinks[2].id == 2 and uplinks[3].id == 3)\n"
                "assert(uplinks[4] == nil and rawget(uplinks, 'junk') == nil)\n"
                "local last = uplinks[3]\n"
                "if turn % 3 == 0 then table.remove(uplinks, 1) end\n"
                "if turn % 3 == 1 then for i = 1, 9 do uplinks[i] = last end uplinks.junk = 1 uplinks[12] = "
                "1 end\n"
                "if turn % 3 == 2 then table.sort(uplinks, function(a, b) return a.id > b.id end) return "
                "uplinks end\n"
                "return last"));
    for (int i = 0; i < 300; i++) {
        struct policy_choice c = fixture_pick(f);
        assert_false(c.by_default);
        assert_ptr_equal(c.order[0], f->set.items[2]);
    }
    assert_int_equal(policy_info(f->policy).errors, 0);
}

static void nil_leaves_it_to_the_default(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, PICK("", ""));
    struct policy_choice c = fixture_pick(f);
    assert_int_equal(c.verdict, POLICY_USE);
    assert_int_equal(c.n, 1);
    assert_true(c.by_default);
    assert_string_equal(c.reason, "default: no opinion");
    assert_int_equal(policy_info(f->policy).errors, 0);
}

static void false_refuses(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, PICK("", "return false, 'not at this hour'"));
    struct policy_choice c = fixture_pick(f);
    assert_int_equal(c.verdict, POLICY_REFUSE);
    assert_int_equal(c.n, 0);
    assert_string_equal(c.reason, "not at this hour");
    assert_false(c.by_default);
    FIXTURE_LOAD(f, PICK("", "return false"));
    assert_int_equal(fixture_pick(f).verdict, POLICY_REFUSE);
    assert_string_equal(fixture_pick(f).reason, "p");
}

struct mistake {
    const char *text, *expected;
};

static const struct mistake mistakes[] = {
    {ON_PORT_1("return true"),
     "p.lua:3: pick returned a boolean; expected an uplink, a list of uplinks, nil, or false"},
    {ON_PORT_1("return 1"), "p.lua:3: pick returned a number"},
    {ON_PORT_1("return 'lte'"), "p.lua:3: pick returned a string"},
    {ON_PORT_1("return print"), "p.lua:3: pick returned a function"},
    {ON_PORT_1("return conn"), "p.lua:3: pick returned a conn"},
    {ON_PORT_1("return 1LL"), "p.lua:3: pick returned a"},
    {ON_PORT_1("return {}"), "p.lua:3: pick returned an empty list"},
    {ON_PORT_1("return { 1 }"), "p.lua:3: pick returned a list that holds a number"},
    {ON_PORT_1("return { uplinks[1], conn }"), "p.lua:3: pick returned a conn where an uplink was expected"},
    {ON_PORT_1("local t = {} for i = 1, 65 do t[i] = uplinks[1] end return t"), "a list of 65 uplinks"},
    {ON_PORT_1("return uplinks[1], 7"), "p.lua:3: pick returned a number as reason"},
    {ON_PORT_1("return uplinks[1], nil, 7"), "p.lua:3: pick returned a number as third value"},
    {ON_PORT_1("return uplinks[1], nil, { timout = 1 }"),
     "options with an unknown key 'timout'; did you mean 'timeout'?"},
    {ON_PORT_1("return uplinks[1], nil, { timeout = 0 }"), "opts.timeout = 0; expected seconds"},
    {ON_PORT_1("return uplinks[1], nil, { timeout = 0/0 }"), "opts.timeout = "},
    {ON_PORT_1("return uplinks[1], nil, { timeout = '1' }"), "opts.timeout = 1; expected seconds"},
    {ON_PORT_1("return uplinks[1], nil, { hedge = -1 }"), "opts.hedge = -1; expected seconds"},
    {ON_PORT_1("local x = nil\nreturn x.y"), "p.lua:6: attempt to index"},
    {ON_PORT_1("error('no luck')"), "p.lua:5: no luck"},
    {ON_PORT_1("error()"), "p.lua:5: raised a nil"},
    {ON_PORT_1("error(setmetatable({}, { __tostring = function() return 'why' end }))"),
     "p.lua:5: raised a table instead of a text"},
    {ON_PORT_1("pcall(error, {})\nlocal ok, what = pcall(error)\nassert(not ok and what == nil, "
               "'seen')\nerror({})"),
     "p.lua:8: raised a table"},
    {ON_PORT_1("error('two\\nlines', 0)"), "two lines"},
    {ON_PORT_1("coroutine.yield()"), "yield"},
    {ON_PORT_1("return setmetatable({}, { __index = function() return uplinks[1] end })"), "an empty list"},
};

static void anything_else_is_logged_and_the_default_decides(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(mistakes); i++) {
        FIXTURE_LOAD(f, mistakes[i].text);
        struct policy_choice c = pick_port_1(f);
        if (!c.by_default || c.verdict != POLICY_USE || c.n != 1)
            FIXTURE_FAIL(f, "taken for good: %s", mistakes[i].text);
        assert_string_equal(c.reason, "default: policy error");
        assert_int_equal(policy_info(f->policy).errors, 1);
        if (fixture_log_count(f, mistakes[i].expected) == 0)
            FIXTURE_FAIL(f, "expected in the log: %s", mistakes[i].expected);
        assert_false(fixture_pick(f).by_default);
    }
    assert_int_equal(fixture_log_count(f, "warn policy failed policy=p generation=1 in=pick error="),
                     ARRAY_LEN(mistakes));
}

static void an_uplink_that_is_no_candidate_is_a_mistake(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, PICK("local all = ctx.uplinks", "return all[3], 'my own'"));
    struct policy_conn conn = fixture_conn(1);
    struct uplink *candidates[] = {f->set.items[1], f->set.items[0]};
    struct policy_choice c;
    assert_false(fixture_pick(f).by_default);
    policy_pick(f->policy, &conn, candidates, 2, &c);
    assert_true(c.by_default);
    assert_true(c.order[0] == candidates[0] || c.order[0] == candidates[1]);
    assert_int_equal(fixture_log_count(f, "pick returned uplink wifi, which is not among the candidates"), 1);
    policy_pick(f->policy, &conn, &f->set.items[2], 1, &c);
    assert_false(c.by_default);
}

/* A policy may name a captive uplink, but it is skipped. Afterwards it is an ordinary uplink again. */
static void a_captive_uplink_is_skipped(void **state)
{
    struct fixture *f = *state;
    struct policy_conn one = fixture_conn(1), two = fixture_conn(2);
    struct policy_choice c;
    FIXTURE_LOAD(
        f, PICK("local all = ctx.uplinks", "return conn.id == 1 and all[3] or { all[3], all[1] }, 'mine'"));
    f->set.items[2]->four.health.captive = true;
    policy_pick(f->policy, &one, f->set.items, 2, &c);
    assert_string_equal(c.reason, "default: no opinion");
    policy_pick(f->policy, &two, f->set.items, 2, &c);
    assert_string_equal(c.reason, "mine");
    assert_true(c.n == 1 && c.order[0] == f->set.items[0]);
    f->set.items[2]->four.health.captive = false;
    policy_pick(f->policy, &one, f->set.items, 2, &c);
    assert_string_equal(c.reason, "default: policy error");
}

static void pick_sees_the_connection(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(
        f,
        ON_PORT_1(
            "return uplinks[1], table.concat({ conn.id, conn.host, conn.port, tostring(conn.is_domain),\n"
            "tostring(conn.is_ipv6), conn.proto, conn.client, tostring(conn.user), conn.listener,\n"
            "conn.attempt, tostring(conn.last_error), tostring(conn.tag), tostring(conn.address) }, ' ')"));
    assert_string_equal(pick_port_1(f).reason,
                        "1 www.example.org 1 true false socks5 192.0.2.7 nil 127.0.0.1:1080 1 nil nil nil");
    struct policy_conn conn = {.id = (1ull << 53) - 1,
                               .host = "::1",
                               .address = "2001:db8::7",
                               .port = 1,
                               .proto = POLICY_HTTP,
                               .client = "c",
                               .user = "me",
                               .listener = "l",
                               .attempt = 3,
                               .last_error = "dns"};
    assert_string_equal(pick_conn(f, &conn).reason,
                        "9.007199254741e+15 ::1 1 false true http c me l 3 dns nil 2001:db8::7");
}

/* The host has the form of a target: lower case, no brackets, and the last label is never a number. */
static void pick_sees_what_the_host_is(void **state)
{
    static const struct {
        const char *host, *kind;
    } cases[] = {
        {"www.example.org", "domain"},
        {"localhost", "domain"},
        {"1.2.3.4.example", "domain"},
        {"9gag.com", "domain"},
        {"127.0.0.1", "ipv4"},
        {"255.255.255.255", "ipv4"},
        {"::1", "ipv6"},
        {"2001:db8::1", "ipv6"},
        {"fe80::", "ipv6"},
        {"::ffff:1.2.3.4", "ipv6"},
        {"10::1", "ipv6"},
        {"cafe", "domain"},
    };
    struct fixture *f = *state;
    FIXTURE_LOAD(f, PICK("", "assert((conn.address == conn.host) == not conn.is_domain)\n"
                             "return uplinks[1], conn.is_domain and (conn.is_ipv6 and 'both' or 'domain') or "
                             "conn.is_ipv6 and 'ipv6' or 'ipv4'"));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct policy_conn conn = fixture_conn(i + 1);
        conn.host = cases[i].host;
        assert_string_equal(pick_conn(f, &conn).reason, cases[i].kind);
    }
}

static void pick_sees_the_uplinks_as_they_are_now(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(
        f,
        PICK("",
             "local u = uplinks[2]\n"
             "return u, table.concat({ u.name, u.kind, u.interface, u.weight, u.active, u.tags[1] or '-',\n"
             "tostring(u.tags.metered), tostring(u.up), tostring(u.ipv6), u.quota_left }, ' ')"));
    assert_string_equal(fixture_pick(f).reason, "lte interface lte 3 0 metered true true false inf");
    struct uplink *lte = f->set.items[1];
    for (int i = 1; i < 200; i++) {
        char expected[96];
        lte->view.active = i;
        lte->view.ipv6 = i % 2;
        (void)snprintf(lte->interface, sizeof lte->interface, "wwan%d", i);
        (void)snprintf(expected, sizeof expected, "lte interface wwan%d 3 %d metered true true %s inf", i, i,
                       i % 2 ? "true" : "false");
        assert_string_equal(fixture_pick(f).reason, expected);
    }
}

static void an_uplink_that_comes_later_is_known(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, PICK("", "return uplinks[#uplinks], uplinks[#uplinks].name"));
    (void)fixture_add_uplink(f, "satellite", 1);
    struct policy_choice c = fixture_pick(f);
    assert_ptr_equal(c.order[0], f->set.items[3]);
    assert_string_equal(c.reason, "satellite");
}

static void the_largest_set_works(void **state)
{
    struct fixture *f = *state;
    while (f->set.n < UPLINK_MAX)
        (void)fixture_add_uplink(f, "more", 1);
    FIXTURE_LOAD(f, PICK("", "return uplinks"));
    struct policy_choice c = fixture_pick(f);
    assert_int_equal(c.n, UPLINK_MAX);
    assert_ptr_equal(c.order[63], f->set.items[63]);
}

static void a_kept_conn_is_dead_but_harmless(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f,
                 "local kept, co\n" PICK(
                     "", "if conn.port == 1 then local c = coroutine.wrap(function() return kept.host end)\n"
                         "kept = conn return uplinks[1], c() end\n"
                         "kept = conn return uplinks[1]"));
    assert_false(fixture_pick(f).by_default);
    assert_string_equal(pick_port_1(f).reason,
                        "www.example.org"); /* the present call's text, never a freed one */
}

static const char WITH_HOOKS[] =
    "return { name = 'p', new = function(ctx) local log = {} return {\n"
    "pick = function(conn, uplinks) local text = table.concat(log, '; ') log = {}\n"
    "return uplinks[1], text ~= '' and text or 'none', { tag = { of = conn.id } } end,\n"
    "opened = function(conn, u, s) log[#log + 1] = ('opened %s %s %g %d'):format(conn.host, u.name, s, "
    "conn.tag.of) end,\n"
    "failed = function(conn, u, err) log[#log + 1] = ('failed %s %s'):format(u.name, err) end,\n"
    "lost_race = function(conn, u) log[#log + 1] = ('lost %s %s'):format(u.name, tostring(conn.race)) end,\n"
    "closed = function(conn, u, st) log[#log + 1] = ('closed %s %g %g %g %s %s %d'):format(\n"
    "u.name, st.tx, st.rx, st.duration, tostring(st.first_byte), st.reason, st.tag.of) end,\n"
    "} end }\n";

static void hooks_hear_what_happened(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, WITH_HOOKS);
    struct policy_conn conn = fixture_conn(5);
    assert_string_equal(pick_conn(f, &conn).reason, "none");
    policy_opened(f->policy, &conn, f->set.items[1], 0.25);
    policy_failed(f->policy, &conn, f->set.items[2], "timeout");
    assert_string_equal(pick_conn(f, &conn).reason, "opened www.example.org lte 0.25 5; failed wifi timeout");
    policy_lost_race(f->policy, &conn, f->set.items[0]);
    conn.race = true;
    policy_lost_race(f->policy, &conn, f->set.items[1]);
    assert_string_equal(pick_conn(f, &conn).reason, "lost fibre false; lost lte true");
    struct policy_stats stats = {
        .tx = 10, .rx = 5000000000, .duration_s = 1.5, .first_byte_s = 0.5, .reason = "idle"};
    policy_closed(f->policy, &conn, f->set.items[0], &stats);
    assert_string_equal(pick_conn(f, &conn).reason, "closed fibre 10 5e+09 1.5 0.5 idle 5");
    stats.first_byte_s = -1;
    policy_closed(f->policy, &conn, f->set.items[0], &stats);
    assert_string_equal(pick_conn(f, &conn).reason, "closed fibre 10 5e+09 1.5 nil idle 5");
    assert_int_equal(policy_info(f->policy).errors, 0);
}

static void tags_live_until_forgotten(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, PICK("", "return uplinks[1], tostring(conn.tag), { tag = (conn.tag or 0) + 1 }"));
    struct policy_conn a = fixture_conn(1), b = fixture_conn(2);
    assert_string_equal(pick_conn(f, &a).reason, "nil");
    assert_string_equal(pick_conn(f, &a).reason, "1");
    assert_string_equal(pick_conn(f, &b).reason, "nil");
    policy_forget(f->policy, 1);
    policy_forget(f->policy, 1);
    policy_forget(f->policy, 77);
    assert_string_equal(pick_conn(f, &a).reason, "nil");
    assert_string_equal(pick_conn(f, &b).reason, "1");
    policy_forget(f->policy, 2);
    assert_string_equal(pick_conn(f, &b).reason, "nil");
}

static void absent_hooks_are_not_called(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, PICK("", "return uplinks[1]"));
    struct policy_conn conn = fixture_conn(5);
    struct policy_stats stats = {.reason = "closed"};
    policy_opened(f->policy, &conn, f->set.items[1], 0.25);
    policy_failed(f->policy, &conn, f->set.items[2], "timeout");
    policy_closed(f->policy, &conn, f->set.items[0], &stats);
    policy_forget(f->policy, 5);
    assert_int_equal(policy_info(f->policy).errors, 0);
}

static void errors_in_hooks_are_logged(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, "return { name = 'p', new = function() return { pick = function(c, u) return u[1] end,\n"
                    "closed = function(conn, u, stats)\nreturn stats.rxx end } end }");
    struct policy_conn conn = fixture_conn(5);
    struct policy_stats stats = {.reason = "closed"};
    policy_closed(f->policy, &conn, f->set.items[0], &stats);
    assert_int_equal(fixture_log_count(f, "in=closed error=\""), 1);
    assert_int_equal(fixture_log_count(f, "p.lua:3: stats has no field 'rxx'"), 1);
    assert_int_equal(policy_info(f->policy).errors, 1);
}

static void too_many_failures_in_a_row_quarantine(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, ON_PORT_1("error('bad day')"));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 19; i++)
            assert_string_equal(pick_port_1(f).reason, "default: policy error");
        assert_false(policy_info(f->policy).quarantined);
        assert_false(fixture_pick(f).by_default); /* no longer in a row */
    }
    for (int i = 0; i < 20; i++)
        (void)pick_port_1(f);
    assert_true(policy_info(f->policy).quarantined);
    for (int i = 0; i < 100; i++)
        assert_string_equal(fixture_pick(f).reason, "default: policy quarantined");
    assert_int_equal(policy_info(f->policy).errors, 77);
    assert_int_equal(fixture_log_count(f, "error policy quarantined until it is reloaded"), 1);
    assert_true(fixture_log_count(f, "policy failed") <= 5); /* rate-limited */
    assert_int_equal(policy_reload(f->policy, f->err), 0);
    assert_false(policy_info(f->policy).quarantined);
    assert_false(fixture_pick(f).by_default);
}

static void a_reload_counts_failures_anew(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, ON_PORT_1("error('bad day')"));
    for (int i = 0; i < 20; i++)
        (void)pick_port_1(f);
    assert_true(policy_info(f->policy).quarantined);
    assert_int_equal(policy_reload(f->policy, f->err), 0);
    for (int i = 0; i < 19; i++)
        assert_string_equal(pick_port_1(f).reason, "default: policy error");
    assert_false(policy_info(f->policy).quarantined);
    (void)pick_port_1(f);
    assert_true(policy_info(f->policy).quarantined);
}

/* Texts of a call cannot be read after it, whatever a policy has kept. */
static void a_conns_text_is_let_go(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, WITH_HOOKS);
    const struct frame *frame = &f->policy->script->frame;
    struct policy_conn conn = fixture_conn(1);
    struct policy_stats stats = {.reason = "closed"};
    for (int i = 0; i < 4; i++) {
        if (i == 0)
            (void)fixture_pick(f);
        else if (i == 1)
            policy_opened(f->policy, &conn, f->set.items[0], 1);
        else if (i == 2)
            policy_failed(f->policy, &conn, f->set.items[0], "dns");
        else
            policy_closed(f->policy, &conn, f->set.items[0], &stats);
        assert_false(frame->live);
        assert_null(frame->host);
        assert_null(frame->client);
        assert_null(frame->listener);
        assert_null(frame->word);
    }
}

static void a_hook_that_always_fails_quarantines_too(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, "return { name = 'p', new = function() return { pick = function(c, u) return u[1] end,\n"
                    "closed = function(conn, u, stats) error('no') end } end }");
    struct policy_conn conn = fixture_conn(5);
    struct policy_stats stats = {.reason = "closed"};
    for (int i = 0; i < 20; i++) {
        assert_false(fixture_pick(f).by_default); /* successes do not make up for failures */
        policy_closed(f->policy, &conn, f->set.items[0], &stats);
    }
    assert_true(policy_info(f->policy).quarantined);
    assert_string_equal(fixture_pick(f).reason, "default: policy quarantined");
    policy_closed(f->policy, &conn, f->set.items[0], &stats);
    assert_int_equal(policy_info(f->policy).errors, 20); /* it is not called any more */
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(an_uplink_with_and_without_a_reason),
        T(a_long_reason_is_cut_between_characters),
        T(a_list_is_an_order),
        T(the_list_given_may_be_sorted_and_spoilt),
        T(nil_leaves_it_to_the_default),
        T(false_refuses),
        T(anything_else_is_logged_and_the_default_decides),
        T(an_uplink_that_is_no_candidate_is_a_mistake),
        T(a_captive_uplink_is_skipped),
        T(pick_sees_the_connection),
        T(pick_sees_what_the_host_is),
        T(pick_sees_the_uplinks_as_they_are_now),
        T(an_uplink_that_comes_later_is_known),
        T(the_largest_set_works),
        T(a_kept_conn_is_dead_but_harmless),
        T(hooks_hear_what_happened),
        T(tags_live_until_forgotten),
        T(absent_hooks_are_not_called),
        T(errors_in_hooks_are_logged),
        T(too_many_failures_in_a_row_quarantine),
        T(a_reload_counts_failures_anew),
        T(a_conns_text_is_let_go),
        T(a_hook_that_always_fails_quarantines_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
