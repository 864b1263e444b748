/* Loading, parameters and reloading: a good policy serves; a bad one is refused with one line that has
 * place and reason. */
#include "policy/fixture.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"

#include <glob.h>
struct refusal {
    const char *text, *expected;
};

/* Every error names the file and the line. */
static const struct refusal refusals[] = {
    {"return {\n  name = 'p',\n  new = = 1\n}", "p.lua:3: "},
    {"local x = nil\nreturn x.y", "p.lua:2: "},
    {"return 7", "p.lua:1: expected the file to return a table { name = …, new = … }, got number"},
    {"local x\n", "p.lua:1: expected the file to return a table"},
    {"return {\n  new = function() end\n}", "p.lua:1: name: expected a string"},
    {"return {\n\n  name = 'a b', new = print }", "p.lua:3: name: expected a string of letters"},
    {"return {\n  name = 'p',\n}", "p.lua:1: new: expected a function(ctx), got nil"},
    {"return {\n  name = 'p',\n  new = 3\n}", "p.lua:3: new: expected a function(ctx), got number"},
    {"return {\n  name = 'p',\n  abuot = 'x', new = print }",
     "p.lua:3: the policy has no field 'abuot'; did you mean 'about'?"},
    {"return {\n  name = 'p',\n  about = 3, new = print }", "p.lua:3: about: expected a string, got number"},
    {"return {\n  name = 'p',\n  params = 3, new = print }", "p.lua:3: params: expected a table, got number"},
    {"return { name = 'p',\n  new = function()\n error('no luck') end }", "p.lua:3: no luck"},
    {"return { name = 'p',\n  new = function() error({}) end }", "p.lua:2: raised a table instead of a text"},
    {"return { name = 'p',\n  new = function()\n error() end }", "p.lua:3: raised a nil instead of a text"},
    {"return { name = 'p',\n  new = function()\n assert(false, {}) end }",
     "p.lua:3: raised a table instead of"},
    {"local t = setmetatable({}, { __tostring = function() return 'why' end })\n"
     "return { name = 'p', new = function()\n error(t) end }",
     "p.lua:3: raised a table instead of a text"},
    {"return { name = 'p', new = function()\n pcall(error, {})\n pcall(error)\n"
     " coroutine.wrap(function()\n error({})\n end)() end }",
     "p.lua:6: raised a table instead of a text"},
    {PICK("", "\n\nerror(conn)"), "p.lua:6: raised a cdata instead of a text"},
    {"return { name = 'p',\n  new = function() end }",
     "p.lua:2: new (line 2): expected it to return a table"},
    {"return { name = 'p',\n  new = function() return {} end }",
     "p.lua:2: pick: expected a function(conn, uplinks), got nil"},
    {"return { name = 'p', new = function() return {\n  pick = print,\n  opend = print } end }",
     "p.lua:3: what new returned has no field 'opend'; did you mean 'opened'?"},
    {"return { name = 'p', new = function() return {\n  pick = print,\n  closed = 1 } end }",
     "p.lua:3: closed: expected a function, got number"},
    {PICK("", "return conn.hots"), "p.lua:4: conn has no field 'hots'; did you mean 'host'?"},
    {PICK("", "return 'fibre'"), "p.lua:3: pick returned a string; expected an uplink"},
    {PICK("", "\n\nif not conn.is_domain then return nil + 1 end"), "p.lua:6: "},
};

static void refuses_what_is_wrong_and_says_where(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        if (fixture_load(f, refusals[i].text) != -EINVAL)
            FIXTURE_FAIL(f, "taken for good: %s", refusals[i].text);
        if (!strstr(f->err, refusals[i].expected))
            FIXTURE_FAIL(f, "expected: %s\ngot: %s", refusals[i].expected, f->err);
        assert_null(strchr(f->err, '\n'));
        assert_null(f->policy);
    }
}

static void a_mistake_deep_in_a_long_file_is_found(void **state)
{
    struct fixture *f = *state;
    static char text[100000];
    size_t n = 0;
    for (int i = 0; i < 2000; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "-- some words on line %d\n", i + 1);
    (void)snprintf(text + n, sizeof text - n, "return { name = 'p',\n nwe = print }");
    assert_int_equal(fixture_load(f, text), -EINVAL);
    if (!strstr(f->err, "p.lua:2002: the policy has no field 'nwe'; did you mean 'new'?"))
        FIXTURE_FAIL(f, "%s", f->err);
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
    struct fixture *f = *state;
    struct policy_options o = fixture_options(f);
    assert_true(policy_new(&f->policy, &o, f->err) < 0);
    assert_non_null(strstr(f->err, "p.lua: No such file or directory"));
    o.source.file = f->dir;
    assert_true(policy_new(&f->policy, &o, f->err) < 0);
    assert_non_null(strstr(f->err, "expected a regular file"));
    assert_int_equal(mkfifo(f->file, 0600), 0); /* opening it must not wait for a writer */
    o.source.file = f->file;
    assert_true(policy_new(&f->policy, &o, f->err) < 0);
    assert_non_null(strstr(f->err, "expected a regular file"));
}

static void a_library_that_is_missing_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct policy_options o = fixture_options(f);
    const char *text = PICK("", "return uplinks[1]");
    fixture_write(f, "p.lua", text, strlen(text));
    o.lua_dir = f->dir;
    assert_true(policy_new(&f->policy, &o, f->err) < 0);
    assert_non_null(strstr(f->err, "steerway.host"));
}

static int load_with(struct fixture *f, const char *text, const char *key, const char *value)
{
    struct policy_options o = fixture_options(f);
    char k[32], v[32];
    (void)snprintf(k, sizeof k, "%s", key);
    (void)snprintf(v, sizeof v, "%s", value);
    struct policy_param param = {.key = k, .value = v};
    o.source.params = &param;
    o.source.n_params = 1;
    fixture_write(f, "p.lua", text, strlen(text));
    policy_free(f->policy);
    f->policy = NULL;
    int rc = policy_new(&f->policy, &o, f->err);
    /* The texts of the options are not needed any more. */
    memset(k, 'x', sizeof k);
    memset(v, 'x', sizeof v);
    return rc;
}

static const char WITH_PARAMS[] =
    "return { name = 'p', params = {\n"
    "which = { type = 'number', default = 1, min = 1, max = 3 },\n"
    "mood = { type = 'string', enum = { 'calm', 'bold' } },\n"
    "last = { type = 'boolean', default = false },\n"
    "}, new = function(ctx) return { pick = function(conn, uplinks)\n"
    "return uplinks[ctx.params.last and #uplinks or ctx.params.which], ctx.params.mood or 'moody'\n"
    "end } end }\n";

static void params_are_converted_by_their_schema(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load_with(f, WITH_PARAMS, "which", "2"), 0);
    assert_ptr_equal(fixture_pick(f).order[0], f->set.items[1]);
    assert_string_equal(fixture_pick(f).reason, "moody");
    assert_int_equal(load_with(f, WITH_PARAMS, "last", "yes"), 0);
    assert_ptr_equal(fixture_pick(f).order[0], f->set.items[2]);
    assert_int_equal(load_with(f, WITH_PARAMS, "mood", "bold"), 0);
    assert_ptr_equal(fixture_pick(f).order[0], f->set.items[0]);
    assert_string_equal(fixture_pick(f).reason, "bold");
    assert_int_equal(policy_reload(f->policy, f->err), 0); /* they are kept */
    assert_string_equal(fixture_pick(f).reason, "bold");
}

static void wrong_params_are_refused(void **state)
{
    static const struct {
        const char *key, *value, *expected;
    } wrong[] = {
        {"which", "x", "p.lua:2: parameter 'which': expected a number from 1 to 3, got 'x'"},
        {"which", "0", "expected a number from 1 to 3, got '0'"},
        {"which", "nan", "expected a number from 1 to 3"},
        {"last", "perhaps", "p.lua:4: parameter 'last': expected true or false, got 'perhaps'"},
        {"mood", "sad", "p.lua:3: parameter 'mood': expected one of calm, bold, got 'sad'"},
        {"wich", "1", "p.lua:1: unknown parameter 'wich'; did you mean 'which'? (known: last, mood, which)"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_int_equal(load_with(f, WITH_PARAMS, wrong[i].key, wrong[i].value), -EINVAL);
        if (!strstr(f->err, wrong[i].expected))
            FIXTURE_FAIL(f, "expected: %s\ngot: %s", wrong[i].expected, f->err);
    }
    assert_int_equal(load_with(f, PICK("", "return nil"), "x", "1"), -EINVAL);
    assert_non_null(strstr(f->err, "unknown parameter 'x' (it takes none)"));
}

static void reload_swaps_a_good_file_and_keeps_the_old_for_a_bad(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, PICK("", "return uplinks[1], 'first'"));
    assert_string_equal(policy_name(f->policy), "p");
    assert_int_equal(policy_generation(f->policy), 1);
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        fixture_write(f, "p.lua", refusals[i].text, strlen(refusals[i].text));
        assert_int_equal(policy_reload(f->policy, f->err), -EINVAL);
        assert_non_null(strstr(f->err, refusals[i].expected));
        assert_string_equal(fixture_pick(f).reason, "first");
    }
    assert_int_equal(policy_generation(f->policy), 1);
    const char *good = "return { name = 'q', new = function() return { pick = function(c, u) return u[2], "
                       "'second' end } end }";
    fixture_write(f, "p.lua", good, strlen(good));
    assert_int_equal(policy_reload(f->policy, f->err), 0);
    assert_int_equal(policy_generation(f->policy), 2);
    assert_string_equal(policy_name(f->policy), "q");
    assert_string_equal(fixture_pick(f).reason, "second");
}

static void many_reloads_do_not_grow_the_process(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, PICK("local t = {} for i = 1, 1e4 do t[i] = {} end", "return uplinks[1]"));
    for (int i = 0; i < 100; i++) {
        assert_int_equal(policy_reload(f->policy, f->err), 0);
        assert_false(fixture_pick(f).by_default);
    }
    assert_int_equal(policy_generation(f->policy), 101);
}

static void the_pick_on_trial_leaves_no_tag(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, PICK("", "return uplinks[1], conn.tag or 'fresh', { tag = 'stale' }"));
    struct policy_conn conn = fixture_conn(0); /* the id that trial picks use */
    struct policy_choice choice;
    policy_pick(f->policy, &conn, f->set.items, f->set.n, &choice);
    assert_string_equal(choice.reason, "fresh");
}

static void loads_when_no_uplink_is_up_or_there(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < f->set.n; i++)
        f->set.items[i]->view.up = false;
    FIXTURE_LOAD(f, PICK("", "return uplinks[1].name and uplinks[1]"));
    struct uplink_set none = {.n = 0};
    struct policy_options o = fixture_options(f);
    struct policy *p;
    o.uplinks = &none;
    assert_int_equal(policy_new(&p, &o, f->err), 0);
    policy_free(p);
}

static void ctx_has_what_it_promises(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, PICK("assert(#ctx.uplinks == 3 and ctx.uplinks[2].name == 'lte')\n"
                         "assert(ctx.hash('a') == 0xca2e9442 and ctx.hash('') == 0)\n"
                         "local r = ctx.random(); assert(r >= 0 and r < 1)\n"
                         "ctx.log.info('n=%d', 4) ctx.log.warn('w\\nx') ctx.log.error('e')\n"
                         "for i = 1, 100 do print('much', i) end",
                         "return uplinks[1]"));
    char *log = fixture_log(f);
    assert_non_null(strstr(log, "info policy says text=\"n=4\""));
    assert_non_null(strstr(log, "warn policy says text=\"w\\u000ax\""));
    assert_non_null(strstr(log, "error policy says text=e"));
    assert_int_equal(fixture_count(log, "policy says"), 20); /* rate-limited */
    free(log);
    struct policy_choice a = fixture_pick(f);
    assert_false(a.by_default);
}

static void the_seed_differs_between_loads(void **state)
{
    struct fixture *f = *state;
    char first[POLICY_REASON_MAX + 1];
    FIXTURE_LOAD(f, PICK("", "return uplinks[1], ('%.15f'):format(ctx.random())"));
    (void)snprintf(first, sizeof first, "%s", fixture_pick(f).reason);
    assert_int_equal(policy_reload(f->policy, f->err), 0);
    assert_string_not_equal(fixture_pick(f).reason, first);
}

static void all_shipped_policies_load_and_choose(void **state)
{
    struct fixture *f = *state;
    glob_t found;
    assert_int_equal(glob(STEERWAY_SOURCE_DIR "/policies/*.lua", 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 12);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct policy_options o = fixture_options(f);
        o.source.file = found.gl_pathv[i];
        policy_free(f->policy);
        f->policy = NULL;
        if (policy_new(&f->policy, &o, f->err) != 0)
            FIXTURE_FAIL(f, "%s", f->err);
        for (int k = 0; k < 200; k++) {
            struct policy_choice c = fixture_pick(f);
            assert_false(c.by_default);
            assert_int_equal(c.verdict, POLICY_USE);
        }
        if (policy_reload(f->policy, f->err) != 0)
            FIXTURE_FAIL(f, "%s", f->err);
        assert_false(fixture_pick(f).by_default);
        assert_int_equal(policy_info(f->policy).errors, 0);
    }
    globfree(&found);
}

static void the_shipped_policies_share_by_weight(void **state)
{
    static const char *const names[] = {"least_connections", "round_robin", "failover", "random"};
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct policy_options o = fixture_options(f);
        char path[256];
        (void)snprintf(path, sizeof path, STEERWAY_SOURCE_DIR "/policies/%s.lua", names[i]);
        o.source.file = path;
        policy_free(f->policy);
        f->policy = NULL;
        if (policy_new(&f->policy, &o, f->err) != 0)
            FIXTURE_FAIL(f, "%s", f->err);
        assert_string_equal(policy_name(f->policy), names[i]);
        unsigned count[FIXTURE_UPLINKS] = {0};
        for (int k = 0; k < 1100; k++) {
            struct policy_choice c = fixture_pick(f);
            assert_false(c.by_default);
            assert_int_equal(c.n, 1);
            count[c.order[0]->view.id - 1]++;
        }
        /* Weights 7, 3, 1: exact, except for the random policy (13 standard deviations away from an even
         * spread). */
        bool drawn = strcmp(names[i], "random") == 0;
        assert_in_range(count[0], drawn ? 600 : 700, drawn ? 800 : 700);
        assert_in_range(count[1], drawn ? 220 : 300, drawn ? 380 : 300);
    }
}

/* The built-in default and the shipped policy of the same rule choose alike. */
static void least_connections_and_the_built_in_default_agree(void **state)
{
    struct fixture *f = *state;
    struct policy_options o = fixture_options(f);
    struct policy *silent, *shipped;
    const char *text = PICK("", "return nil");
    fixture_write(f, "p.lua", text, strlen(text));
    assert_int_equal(policy_new(&silent, &o, f->err), 0);
    o.source.file = STEERWAY_SOURCE_DIR "/policies/least_connections.lua";
    assert_int_equal(policy_new(&shipped, &o, f->err), 0);
    /* Two trial picks have moved the shipped policy's credits; so it is asked until a round is complete. */
    struct policy_conn conn = fixture_conn(1);
    for (int i = 2; i < 11; i++) {
        struct policy_choice c;
        policy_pick(shipped, &conn, f->set.items, f->set.n, &c);
    }
    uint32_t seed = 7;
    for (int i = 0; i < 2000; i++) {
        struct policy_choice a, b;
        policy_pick(silent, &conn, f->set.items, f->set.n, &a);
        policy_pick(shipped, &conn, f->set.items, f->set.n, &b);
        assert_true(a.by_default && !b.by_default);
        if (a.order[0] != b.order[0])
            FIXTURE_FAIL(f, "turn %d: %s by default, %s by policy", i, a.order[0]->name, b.order[0]->name);
        seed = seed * 1664525 + 1013904223;
        struct uplink *u = f->set.items[(seed >> 16) % FIXTURE_UPLINKS];
        u->view.active = (seed >> 20) % 4 ? a.order[0] == u ? u->view.active + 1 : u->view.active : 0;
    }
    policy_free(silent);
    policy_free(shipped);
}

static void protocols_have_names(void **state)
{
    (void)state;
    assert_string_equal(policy_proto_name(POLICY_SOCKS4), "socks4");
    assert_string_equal(policy_proto_name(POLICY_SOCKS5), "socks5");
    assert_string_equal(policy_proto_name(POLICY_CONNECT), "connect");
    assert_string_equal(policy_proto_name(POLICY_HTTP), "http");
    policy_free(NULL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(refuses_what_is_wrong_and_says_where),
        T(a_mistake_deep_in_a_long_file_is_found),
        T(a_file_that_cannot_be_read_is_named),
        T(a_library_that_is_missing_is_an_error),
        T(params_are_converted_by_their_schema),
        T(wrong_params_are_refused),
        T(reload_swaps_a_good_file_and_keeps_the_old_for_a_bad),
        T(many_reloads_do_not_grow_the_process),
        T(the_pick_on_trial_leaves_no_tag),
        T(loads_when_no_uplink_is_up_or_there),
        T(ctx_has_what_it_promises),
        T(the_seed_differs_between_loads),
        T(all_shipped_policies_load_and_choose),
        T(the_shipped_policies_share_by_weight),
        T(least_connections_and_the_built_in_default_agree),
        cmocka_unit_test(protocols_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
