/* Config files become JSON, or an error of one line that names the wrong key. */
#include "policy/fixture.h"

#include "policy/lua_config.h"

static int evaluate(struct fixture *f, const char *text, json_t **ret)
{
    fixture_write(f, "p.lua", text, strlen(text));
    return lua_config_load(f->file, STEERWAY_SOURCE_DIR "/lua", ret, f->err);
}

static void a_table_becomes_json(void **state)
{
    struct fixture *f = *state;
    json_t *json = NULL;
    assert_int_equal(setenv("STEERWAY_TEST_SECRET", "s3cret", 1), 0);
    int rc =
        evaluate(f,
                 "local n = 0 for i = 1, 4 do n = n + i end\n"
                 "return { port = 1080, ratio = 0.5, big = 2^53, far = 1e300, on = true, none = {}, n = n,\n"
                 "list = { 1, 'two', { three = 3 } }, secret = os.getenv 'STEERWAY_TEST_SECRET',\n"
                 "name = ('x'):rep(3):upper(), nul = 'a\\0b' }",
                 &json);
    if (rc != 0)
        FIXTURE_FAIL(f, "%s", f->err);
    json_t *expected =
        json_pack("{s:i, s:f, s:I, s:f, s:b, s:{}, s:i, s:[i, s, {s:i}], s:s, s:s, s:s%}", "port", 1080,
                  "ratio", 0.5, "big", (json_int_t)1 << 53, "far", 1e300, "on", 1, "none", "n", 10, "list", 1,
                  "two", "three", 3, "secret", "s3cret", "name", "XXX", "nul", "a\0b", (size_t)3);
    assert_non_null(expected);
    assert_true(json_equal(json, expected));
    json_decref(expected);
    json_decref(json);
}

struct refusal {
    const char *text, *expected;
};

static const struct refusal refusals[] = {
    {"return {\n a = = 1 }", "p.lua:2: "},
    {"\nlocal x = nil + 1", "p.lua:2: attempt to perform arithmetic"},
    {"return 7", "p.lua: expected the file to return a table, got number"},
    {"local x", "p.lua: expected the file to return a table, got nil"},
    {"return { f = print or type }", "p.lua: f: expected a text, number, boolean or table, got a function"},
    {"return { a = { { b = { 1, type } } } }", "p.lua: a[1].b[2]: expected a text"},
    {"return { a = { x = 0/0 } }", "p.lua: a.x: expected a finite number"},
    {"return { a = { 1/0 } }", "p.lua: a[1]: expected a finite number"},
    {"local t = {} t.t = { t } return t", "p.lua: t[1]: a table that contains itself"},
    {"return { a = { 1, 2, nil, 4 } }", "p.lua: a: expected a table whose keys are all names, or 1, 2"},
    {"return { a = { 1, b = 2 } }", "p.lua: a: expected a table whose keys"},
    {"return { a = { [1.5] = 2 } }", "p.lua: a: expected a table whose keys"},
    {"return { a = { [true] = 2 } }", "p.lua: a: expected a table whose keys"},
    {"return { a = { [0] = 2 } }", "p.lua: a: expected a table whose keys"},
    {"return { a = { [1e300] = 2 } }", "p.lua: a: expected a table whose keys"},
    {"return { a = '\\255' }", "p.lua: a: the text is not UTF-8"},
    {"return { ['\\255'] = 1 }", "not UTF-8"},
    {"return { ['a\\0b'] = 1 }", "a key holds a NUL"},
    {"local t = {} local u = t for i = 1, 20 do u.a = {} u = u.a end return t", "nested deeper than 16"},
    {"\nwhile true do end", "p.lua:2: stopped: took longer than 1000 ms"},
    {"local t = {}\nwhile true do t[#t + 1] = ('x'):rep(1e5) .. #t end",
     "p.lua:2: stopped: not enough memory"},
    {"return { x = io.open('/etc/passwd') }", "attempt to index global 'io'"},
    {"return { x = os.execute('true') }", "attempt to call field 'execute'"},
    {"return { x = require('ffi') }", "p.lua:1: module 'ffi': "},
    {"return { x = require('steerway.host') }", "p.lua:1: module 'steerway.host' is the engine's own"},
    {"return { x = debug.getinfo(1) }", "attempt to index global 'debug'"},
    {"local s = ('a'):rep(1e5) return { x = s:find(('.-'):rep(10) .. 'b') }",
     "p.lua:1: string.find: a text of"},
    {"local s = ('a'):rep(1e5) return { x = string.match(s, ('.-'):rep(10) .. 'b') }",
     "p.lua:1: string.match: a text of"},
    {"error({})", "p.lua:1: raised a table instead of a text"},
    {"\nerror()", "p.lua:2: raised a nil instead of a text"},
    {"return { x = getfenv(0) }", "attempt to call global 'getfenv'"},
    {"return { x = ('').dump(type) }", "attempt to call field 'dump'"},
    {"\x1bLJ\x02", "p.lua: expected Lua text, got bytecode"},
};

static void what_is_wrong_is_named(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        json_t *json = NULL;
        if (evaluate(f, refusals[i].text, &json) >= 0)
            FIXTURE_FAIL(f, "taken for good: %s", refusals[i].text);
        if (!strstr(f->err, refusals[i].expected))
            FIXTURE_FAIL(f, "expected: %s\ngot: %s", refusals[i].expected, f->err);
        assert_null(json);
        assert_null(strchr(f->err, '\n'));
    }
}

/* The text near a mistake may be a password. */
static void no_error_quotes_the_file(void **state)
{
    static const char *const texts[][2] = {
        {"return { auth = 'bob:SECRET }", "p.lua:1: unfinished string"},
        {"return {\n auth = { 'bob:x' 'bob:SECRET' } }", "p.lua:2: '}' expected"},
        {"return { auth = SECRET\n = 1 } near ", "p.lua:2: '}' expected"},
        {"return { auth = 12SECRET }", "p.lua:1: malformed number"},
        {"return require 'secrets'", "secrets.lua:1: unfinished string"},
        {"return assert(load('SECRET'))()", "load:1: "},
    };
    struct fixture *f = *state;

    static const char secrets[] = "return { auth = 'bob:SECRET }";
    fixture_write(f, "secrets.lua", secrets, strlen(secrets));
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        json_t *json = NULL;
        assert_true(evaluate(f, texts[i][0], &json) < 0);
        if (strstr(f->err, "SECRET") || strstr(f->err, " near") || !strstr(f->err, texts[i][1]))
            FIXTURE_FAIL(f, "expected: %s\ngot: %s", texts[i][1], f->err);
    }
}

static void it_is_the_sandbox_of_policies(void **state)
{
    struct fixture *f = *state;
    json_t *json = NULL;
    static const char more[] = "return { port = 7 }";

    fixture_write(f, "more.lua", more, strlen(more));
    int rc = evaluate(f,
                      "local t = setmetatable({}, { __index = function() return 2 end })\n"
                      "return { a = t.x, b = math.sqrt(9), c = bit.bor(4, 1), d = require('more').port,\n"
                      "e = load('return 6')() }",
                      &json);
    if (rc != 0)
        FIXTURE_FAIL(f, "%s", f->err);
    json_t *expected = json_pack("{s:i, s:i, s:i, s:i, s:i}", "a", 2, "b", 3, "c", 5, "d", 7, "e", 6);
    assert_true(json_equal(json, expected));
    json_decref(expected);
    json_decref(json);
}

static void a_file_that_is_missing_is_named(void **state)
{
    struct fixture *f = *state;
    json_t *json = NULL;
    assert_true(lua_config_load(f->file, STEERWAY_SOURCE_DIR "/lua", &json, f->err) < 0);
    assert_non_null(strstr(f->err, "p.lua: No such file or directory"));
}

static void sixteen_levels_are_allowed(void **state)
{
    struct fixture *f = *state;
    json_t *json = NULL;
    assert_int_equal(
        evaluate(f, "local t = {} local u = t for i = 1, 15 do u.a = {} u = u.a end return t", &json), 0);
    json_decref(json);
    assert_int_equal(evaluate(f, "local t = {} t.a, t.b = { 1 }, {} t.b.x = t.a return t", &json),
                     0); /* a shared table is not a cycle */
    json_decref(json);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(a_table_becomes_json),          T(what_is_wrong_is_named),          T(no_error_quotes_the_file),
        T(it_is_the_sandbox_of_policies), T(a_file_that_is_missing_is_named), T(sixteen_levels_are_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
