/* What passes from one generation of a policy to the next, and reasons to refuse the next. */
#include "policy/fixture.h"

#include <sys/wait.h>

/* Counts its picks, and exports the number. */
static const char COUNTING[] =
    "return { name = 'counting', new = function()\n"
    "local n = 0\n"
    "return { pick = function(conn, uplinks) n = n + 1 return uplinks[1], 'pick ' .. n end,\n"
    "export = function() return { n = n } end,\n"
    "import = function(t) n = t.n end } end }\n";

static void rewrite(struct fixture *f, const char *text)
{
    fixture_write(f, "p.lua", text, strlen(text));
}

static void assert_reload_fails(struct fixture *f, const char *text, const char *error)
{
    uint32_t before = policy_generation(f->policy);
    rewrite(f, text);
    f->err[0] = '\0';
    assert_true(policy_reload(f->policy, f->err) < 0);
    if (!strstr(f->err, error))
        FIXTURE_FAIL(f, "expected \"%s\" in \"%s\"", error, f->err);
    assert_int_equal(policy_generation(f->policy), before);
}

static void assert_reloads(struct fixture *f, const char *text)
{
    rewrite(f, text);
    if (policy_reload(f->policy, f->err) != 0)
        FIXTURE_FAIL(f, "%s", f->err);
}

static void state_survives_a_reload(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, COUNTING);
    assert_string_equal(fixture_pick(f).reason, "pick 3"); /* after two trial picks */
    assert_reloads(f, COUNTING);
    /* Two more trial picks, of the new one. */
    assert_string_equal(fixture_pick(f).reason, "pick 6");
    assert_int_equal(policy_generation(f->policy), 2);
}

static void state_is_for_the_same_policy_alone(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, COUNTING);
    assert_reloads(f, "return { name = 'other', new = function() return {\n"
                      "pick = function() end, import = function() error 'not mine' end } end }\n");
    assert_string_equal(policy_name(f->policy), "other");
}

/* Otherwise a policy that cannot export could never be replaced. */
static void an_export_that_fails_is_no_obstacle(void **state)
{
    static const char *const bad[] = {"error 'no'", "while true do end", "return 5", "return { print }"};
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char text[512];
        (void)snprintf(text, sizeof text,
                       "return { name = 'counting', new = function() return {\n"
                       "pick = function() end, export = function()\n%s\nend } end }\n",
                       bad[i]);
        FIXTURE_LOAD(f, text);
        assert_reloads(f, COUNTING);
        assert_string_equal(fixture_pick(f).reason, "pick 3");
        assert_int_equal(fixture_log_count(f, "the new one starts without it"), i + 1);
    }
    assert_int_equal(fixture_log_count(f, "p.lua:3: stopped: took longer than 50 ms"), 1);
}

static void an_import_that_fails_refuses_the_new_one(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, COUNTING);
    assert_reload_fails(f,
                        "return { name = 'counting', new = function() return { pick = function() end,\n"
                        "import = function(t)\nerror('bad ' .. t.n) end } end }\n",
                        "p.lua:3: bad 2");
    assert_string_equal(fixture_pick(f).reason, "pick 3"); /* the old one continues unchanged */
}

static void a_selftest_must_pass(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, COUNTING);
    assert_reload_fails(f,
                        "return { name = 'p', new = function() return { pick = function() end,\n"
                        "selftest = function(ctx)\nassert(#ctx.uplinks == 3)\nerror 'is ill' end } end }\n",
                        "p.lua:4: is ill");
    assert_reload_fails(f,
                        "return { name = 'p', new = function() return { pick = function() end,\n"
                        "selftest = function() return false, 'a reason' end } end }\n",
                        "p.lua:2: selftest failed: a reason");
    assert_reload_fails(f,
                        "return { name = 'p', new = function() return { pick = function() end,\n"
                        "selftest = function() while true do end end } end }\n",
                        "p.lua:2: stopped");
    assert_reloads(f, "return { name = 'p', new = function() return { pick = function() end,\n"
                      "selftest = function() end } end }\n");
}

static void another_file_with_other_parameters(void **state)
{
    static const char other[] = "return { name = 'other', params = { n = { type = 'number', max = 9 } }, new "
                                "= function(ctx) return {\n"
                                "pick = function(_, u) return u[1], 'n=' .. ctx.params.n end } end }\n";
    struct fixture *f = *state;
    char path[192];
    struct policy_param param = {.key = strdup("n"), .value = strdup("7")};
    struct policy_source source = {.file = path, .params = &param, .n_params = 1};

    FIXTURE_LOAD(f, COUNTING);
    (void)snprintf(path, sizeof path, "%s/other.lua", f->dir);
    fixture_write(f, "other.lua", other, strlen(other));
    assert_int_equal(policy_change(f->policy, &source, f->err), 0);
    assert_string_equal(fixture_pick(f).reason, "n=7");
    assert_string_equal(policy_source(f->policy)->file, path);
    assert_int_equal(policy_source(f->policy)->n_params, 1);

    param.value[0] = '8';
    assert_int_equal(policy_reload(f->policy, f->err), 0); /* the policy has its own copy */
    assert_string_equal(fixture_pick(f).reason, "n=7");
    assert_int_equal(policy_change(f->policy, &source, f->err), 0);
    assert_string_equal(fixture_pick(f).reason, "n=8");

    param.value[0] = 'x';
    assert_true(policy_change(f->policy, &source, f->err) < 0);
    source.file = "/nowhere.lua";
    assert_true(policy_change(f->policy, &source, f->err) < 0);
    assert_string_equal(policy_source(f->policy)->file, path);
    assert_int_equal(policy_reload(f->policy, f->err), 0);
    assert_string_equal(fixture_pick(f).reason, "n=8");
    free(param.key);
    free(param.value);
}

static void assert_file(const struct fixture *f, size_t i, const char *name)
{
    char path[192];
    (void)snprintf(path, sizeof path, "%s/%s", f->dir, name);
    const char *file = policy_file(f->policy, i);
    assert_non_null(file);
    assert_string_equal(file, path);
}

static void the_files_it_read_are_known(void **state)
{
    static const char module[] = "return 1", broken[] = "return = 1";
    struct fixture *f = *state;

    fixture_write(f, "part.lua", module, strlen(module));
    fixture_write(f, "broken.lua", broken, strlen(broken));
    FIXTURE_LOAD(f, "require 'part' require 'part' pcall(require, 'missing')\n"
                    "return { name = 'p', new = function() return { pick = function() end } end }\n");
    assert_file(f, 0, "p.lua");
    assert_file(f, 1, "part.lua");
    assert_file(f, 2, "missing.lua");
    assert_null(policy_file(f->policy, 3));
    /* A change of a file that a refused load has read starts another load. */
    assert_reload_fails(f, "require 'broken'", "broken.lua:1: ");
    assert_file(f, 2, "missing.lua");
    assert_file(f, 3, "p.lua");
    assert_file(f, 4, "broken.lua");
    assert_null(policy_file(f->policy, 5));
    assert_reloads(f, PICK("", ""));
    assert_file(f, 0, "p.lua");
    assert_null(policy_file(f->policy, 1));
}

static void counters_live_through_reloads(void **state)
{
    static const char text[] = "return { name = 'p', new = function(ctx)\n"
                               "local c, g = ctx.counter 'picks', ctx.gauge 'last_port'\n"
                               "return { pick = function(conn) c:add() g:set(conn.port) end } end }\n";
    struct fixture *f = *state;
    const struct policy_metric *m;

    FIXTURE_LOAD(f, text);
    (void)fixture_pick(f);
    assert_int_equal(policy_metrics(f->policy, &m), 2);
    assert_string_equal(m[0].name, "picks");
    assert_false(m[0].gauge);
    assert_true(m[0].value == 3);
    assert_string_equal(m[1].name, "last_port");
    assert_true(m[1].gauge && m[1].value == 443);
    assert_reloads(f, text);
    (void)fixture_pick(f);
    assert_int_equal(policy_metrics(f->policy, &m), 2);
    assert_true(m[0].value == 6);

    assert_reload_fails(f, PICK("ctx.gauge 'picks'", ""), "a counter has this name already");
    assert_reload_fails(f, PICK("ctx.counter 'last_port'", ""), "a gauge has this name already");
    assert_reload_fails(f, PICK("for i = 1, 257 do ctx.counter('c' .. i) end", ""),
                        "the limit of 256 counters and gauges is reached");
}

static double metric_of(const struct fixture *f, const char *name)
{
    const struct policy_metric *m;
    size_t n = policy_metrics(f->policy, &m);

    for (size_t i = 0; i < n; i++)
        if (strcmp(m[i].name, name) == 0)
            return m[i].value;
    return -1;
}

/* Each generation may use 256 new names. */
static void names_that_no_generation_holds_make_room(void **state)
{
    static const char text[] = "return { name = 'p', new = function(ctx) local first = ctx.counter('g%da1')\n"
                               "for i = 2, 256 do ctx.gauge('g%da' .. i):set(i) end\n"
                               "return { pick = function() first:add() end } end }";
    struct fixture *f = *state;
    char own[512], name[16];

    for (int i = 0; i < 6; i++) {
        (void)snprintf(own, sizeof own, text, i, i);
        if (i == 0)
            FIXTURE_LOAD(f, own);
        else
            assert_reloads(f, own);
        (void)snprintf(name, sizeof name, "g%da1", i);
        assert_true(metric_of(f, name) == 2); /* by trial picks */
        assert_reload_fails(f, PICK("for i = 1, 256 do ctx.counter('bad' .. i) end error 'oops'", ""),
                            "oops");
        (void)fixture_pick(f);
        assert_true(metric_of(f, name) == 3);
        (void)snprintf(name, sizeof name, "g%da256", i);
        assert_true(metric_of(f, name) == 256);
        assert_true(metric_of(f, "bad1") == -1);
    }
    /* The name of the generation before stays until its room is needed, and its kind may change. */
    assert_true(metric_of(f, "g4a2") == 2);
    assert_reloads(f, PICK("ctx.gauge 'g5a2'", ""));
    assert_reloads(f, PICK("ctx.gauge 'g5a1'", ""));
    assert_true(metric_of(f, "g5a1") == 0);
    assert_true(metric_of(f, "g5a2") == 2);
}

/* The old policy's pointers stay valid, with the values from before the load. */
static void numbers_are_as_before_a_load_that_was_refused(void **state)
{
    struct fixture *f = *state;

    FIXTURE_LOAD(f, PICK("local c = ctx.counter 'c'", "c:add()"));
    assert_true(metric_of(f, "c") == 2);
    assert_reload_fails(f, PICK("ctx.counter('c'):add(1000) ctx.counter('d') error 'oops'", ""), "oops");
    (void)fixture_pick(f);
    assert_true(metric_of(f, "c") == 3);
    f->err[0] = '\0';
    assert_true(policy_rehearse(f->policy, f->err) < 0);
    assert_true(metric_of(f, "c") == 3);
    assert_true(metric_of(f, "d") == -1);
}

/* Such a path names no file, and is not recorded: paths lie outside the policy's heap. */
static void a_path_too_long_is_not_kept(void **state)
{
    struct fixture *f = *state;

    FIXTURE_LOAD(f, "return { name = 'p', new = function(ctx) for n = 4000, 5000, 100 do\n"
                    "local ok, e = pcall(ctx.domains, { file = ('a'):rep(n) })\n"
                    "assert(not ok and e:find 'File name too long', e)\n"
                    "end return { pick = function() end } end }");
    size_t n = 0;
    for (const char *path; (path = policy_file(f->policy, n)); n++)
        assert_true(strlen(path) < 4096);
    assert_int_equal(n, 2); /* its own and the one of 4000 bytes */
}

/* A refused version leaves no counters behind; otherwise 256 of them would block all later versions. */
static void counters_of_what_was_refused_go_with_it(void **state)
{
    struct fixture *f = *state;
    const struct policy_metric *m;
    assert_int_equal(fixture_load(f, "return { name = 'p', new = function(ctx) ctx.counter('own') "
                                     "return { pick = function() end } end }"),
                     0);
    for (int i = 0; i < 3; i++)
        assert_reload_fails(
            f,
            "return { name = 'p', new = function(ctx) for i = 1, 255 do ctx.counter('bad' .. i) end "
            "error 'oops' end }",
            "oops");
    assert_int_equal(policy_metrics(f->policy, &m), 1);
    assert_reloads(f, "return { name = 'p', new = function(ctx) ctx.gauge('bad1') "
                      "return { pick = function() end } end }");
    assert_int_equal(policy_metrics(f->policy, &m), 2);
}

/* An export may be too large to import within the time of a call. */
static void more_state_than_can_be_taken_is_left_behind(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_load(f, "return { name = 'p', new = function() return { pick = function() end, "
                                     "export = function() return { n = 1 } end } end }"),
                     0);
    assert_reloads(
        f, "return { name = 'p', new = function() return { pick = function() end, "
           "export = function() return { n = 1 } end, import = function() while true do end end } end }");
    assert_int_equal(fixture_log_count(f, "the new one starts without it"), 1);
    assert_reloads(f, "return { name = 'p', new = function() return { pick = function() end, "
                      "import = function() local t = {} while true do t[#t + 1] = {} end end } end }");
    assert_int_equal(fixture_log_count(f, "the new one starts without it"), 2);
}

static void info_tells_of_it(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, PICK("", "if conn.port == 443 then return uplinks[1] end"));
    for (int i = 0; i < 5; i++)
        (void)fixture_pick(f);
    struct policy_info info = policy_info(f->policy);
    assert_string_equal(info.name, "p");
    assert_string_equal(info.file, f->file);
    assert_int_equal(info.generation, 1);
    assert_int_equal(info.picks, 5);
    assert_int_equal(info.errors, 0);
    assert_in_range(info.memory, 10000, 10000000);
    assert_false(info.quarantined);
}

/* In a child the time budget works, and the parent's state does not change. */
static void a_child_can_ask(void **state)
{
    struct fixture *f = *state;
    int status;
    FIXTURE_LOAD(f, "return { name = 'p', new = function()\nlocal n = 0\n"
                    "return { pick = function(conn, uplinks) n = n + 1\n"
                    "if n > 3 then while true do end end\n"
                    "return uplinks[1], 'pick ' .. n end } end }\n");
    assert_string_equal(fixture_pick(f).reason, "pick 3");
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)alarm(10);
        if (policy_after_fork(f->policy) < 0)
            _exit(2);
        struct policy_choice c = fixture_pick(f);
        _exit(c.by_default && strcmp(c.reason, "default: policy error") == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(policy_info(f->policy).picks, 1);
    assert_int_equal(policy_info(f->policy).errors, 0);
    /* The parent's budget still works. */
    assert_true(fixture_pick(f).by_default);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(state_survives_a_reload),
        T(state_is_for_the_same_policy_alone),
        T(an_export_that_fails_is_no_obstacle),
        T(an_import_that_fails_refuses_the_new_one),
        T(a_selftest_must_pass),
        T(another_file_with_other_parameters),
        T(the_files_it_read_are_known),
        T(counters_live_through_reloads),
        T(counters_of_what_was_refused_go_with_it),
        T(names_that_no_generation_holds_make_room),
        T(numbers_are_as_before_a_load_that_was_refused),
        T(a_path_too_long_is_not_kept),
        T(more_state_than_can_be_taken_is_left_behind),
        T(info_tells_of_it),
        T(a_child_can_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
