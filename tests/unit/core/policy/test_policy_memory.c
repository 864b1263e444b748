/* Memory that a pick takes: none, from the VM's allocator and from malloc. */
#include "policy/fixture.h"

#include "policy/policy_internal.h"

#include <glob.h>

#include <luajit.h>

enum { PICKS = 200, ROUNDS = 100, HOSTS = 13, CLIENTS = 5 };

/* --- counters ------------------------------------------------------------------------------------------- */

static size_t n_malloc, n_lua;

/* A sanitizer's own malloc must stay. */
#if defined(__SANITIZE_ADDRESS__)
#define OWN_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define OWN_MALLOC 0
#endif
#endif
#ifndef OWN_MALLOC
#define OWN_MALLOC 1
#endif

#if OWN_MALLOC
/* glibc's own functions, under the names for replacements. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *block, size_t size);

void *malloc(size_t size)
{
    n_malloc++;
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    n_malloc++;
    return __libc_calloc(n, size);
}

void *realloc(void *block, size_t size)
{
    n_malloc++;
    return __libc_realloc(block, size);
}
#endif

static lua_Alloc vms_own;

static void *count(void *ud, void *block, size_t old, size_t size)
{
    n_lua += size > old;
    return vms_own(ud, block, old, size);
}

/* --- picks ---------------------------------------------------------------------------------------------- */

static lua_State *lua_of(struct fixture *f)
{
    return f->policy->script->vm->L;
}

/* Hosts, clients and ends of connections that repeat. */
static void pick_and_close(struct fixture *f, unsigned i)
{
    static char hosts[HOSTS][32], clients[CLIENTS][16];
    static uint64_t last_id;
    struct policy_conn conn = fixture_conn(++last_id); /* so that a text of it is new */
    struct policy_choice choice;
    const struct policy_stats stats = {
        .tx = 100, .rx = 1000, .duration_s = 1, .first_byte_s = 0.1, .reason = i % 3 ? "closed" : "reset"};

    (void)snprintf(hosts[i % HOSTS], sizeof *hosts, "www.site%u.example", i % HOSTS);
    (void)snprintf(clients[i % CLIENTS], sizeof *clients, "192.0.2.%u", i % CLIENTS);
    conn.host = hosts[i % HOSTS];
    conn.client = clients[i % CLIENTS];
    policy_pick(f->policy, &conn, f->set.items, f->set.n, &choice);
    policy_opened(f->policy, &conn, choice.order[0], 0.02);
    policy_closed(f->policy, &conn, choice.order[0], &stats);
    policy_forget(f->policy, conn.id);
}

static size_t allocations(struct fixture *f)
{
    void *ud;

    vms_own = lua_getallocf(lua_of(f), &ud);
    lua_setallocf(lua_of(f), count, ud);
    n_malloc = n_lua = 0;
    for (unsigned i = 0; i < PICKS; i++)
        pick_and_close(f, i);
    lua_setallocf(lua_of(f), vms_own, ud);
    return n_lua > n_malloc ? n_lua : n_malloc;
}

/* The fewest in any round: the first rounds fill caches and compile, which takes memory too. */
static size_t fewest_allocations(struct fixture *f)
{
    size_t fewest = SIZE_MAX;

    (void)lua_gc(lua_of(f), LUA_GCSTOP, 0);
    for (int i = 0; i < ROUNDS && fewest > 0; i++) {
        size_t n = allocations(f);
        fewest = n < fewest ? n : fewest;
    }
    assert_int_equal(policy_info(f->policy).errors, 0);
    return fewest;
}

static size_t interpreted(struct fixture *f, const char *text)
{
    FIXTURE_LOAD(f, text);
    (void)luaJIT_setmode(lua_of(f), 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    return fewest_allocations(f);
}

static void the_policies_that_ship_take_none(void **state)
{
    struct fixture *f = *state;
    glob_t found;

    assert_int_equal(glob(STEERWAY_SOURCE_DIR "/policies/*.lua", 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 12);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct policy_options o = fixture_options(f);
        o.source.file = found.gl_pathv[i];
        policy_free(f->policy);
        f->policy = NULL;
        if (policy_new(&f->policy, &o, f->err) < 0)
            FIXTURE_FAIL(f, "%s", f->err);
        size_t n = fewest_allocations(f);
        if (n > 0)
            FIXTURE_FAIL(f, "%s: %zu allocations in %d picks", o.source.file, n, PICKS);
    }
    globfree(&found);
}

static void numbers_take_none_before_they_are_compiled(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        interpreted(
            f, "return { name = 'p', new = function() local sum = 0 return {\n"
               "pick = function(conn, uplinks)\n"
               "  sum = conn.id + conn.now + conn.port + conn.attempt + (conn.is_ipv6 and 1 or 0)\n"
               "  for i = 1, #uplinks do\n"
               "    local u = uplinks[i]\n"
               "    sum = sum + u.active / u.weight + u.rtt + u.rx_rate + u.id + (u.up and 1 or 0)\n"
               "    if u.name == 'nobody' or u.tags.nothing or u.kind == 'none' then return u end\n"
               "  end\n"
               "  return uplinks[1], 'as it is'\n"
               "end,\n"
               "opened = function(conn, u, s) sum = sum + s + u.total end,\n"
               "closed = function(conn, u, stats)\n"
               "  sum = sum + stats.tx + stats.rx + stats.duration + (stats.first_byte or 0) + conn.port\n"
               "end } end }"),
        0);
}

/* One allocation: a reference, which compiled code avoids. */
static void a_text_takes_one_however_often_it_is_read(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(interpreted(f, PICK("", "return uplinks[conn.host == conn.host and #conn.host > 0 and "
                                             "conn.host:byte() and 1 or 2]")),
                     PICKS);
}

static void what_takes_some_is_seen(void **state)
{
    struct fixture *f = *state;

    FIXTURE_LOAD(f, PICK("local kept", "kept = { conn.id } return uplinks[1]"));
    assert_true(fewest_allocations(f) >= PICKS);
#if OWN_MALLOC
    n_malloc = 0;
    char *volatile copy = strdup("text"); /* volatile, or the compiler might remove it */
    assert_int_equal(n_malloc, 1);
    free(copy);
#endif
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(the_policies_that_ship_take_none),
        T(numbers_take_none_before_they_are_compiled),
        T(a_text_takes_one_however_often_it_is_read),
        T(what_takes_some_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
