/* The states of a session: what may follow, and how long each may last. */
#include "http/exchange_desk.h"

#include "base/clock.h"

static void the_table_allows_these_steps_and_no_others(void **state)
{
    /* In the order of the enum: reading, slowed, connecting, awaiting, exchange, replying, tunnel,
     * associated, ending, resetting, closed. */
    static const char *const rows[] = {
        [SESSION_READING] = ".xx.x..xx.x",    [SESSION_SLOWED] = "x.........x",
        [SESSION_CONNECTING] = "x..xxx..x.x", [SESSION_AWAITING] = ".....x..x.x",
        [SESSION_EXCHANGE] = "x.x..x..xxx",   [SESSION_REPLYING] = "......x...x",
        [SESSION_TUNNEL] = "..........x",     [SESSION_ASSOCIATED] = "..........x",
        [SESSION_ENDING] = "..........x",     [SESSION_RESETTING] = "..........x",
        [SESSION_CLOSED] = "...........",
    };
    (void)state;
    for (int from = 0; from < (int)ARRAY_LEN(rows); from++)
        for (int to = 0; to < (int)ARRAY_LEN(rows); to++)
            if (session_may((enum session_state)from, (enum session_state)to) != (rows[from][to] == 'x'))
                fail_msg("from state %d to state %d", from, to);
}

static void let_the_deadline_come(struct desk *d, double *setting)
{
    *setting = 0.01;
    session_rearm(d->session);
}

static void a_slow_request_is_told_that_it_was(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    desk_say_str(client, "GET http:");
    desk_turn_until(d, desk_has_read, (size_t)client, "it is not read");
    d->session->admit_by_s = clock_coarse_s(); /* as if the limit had passed long ago */
    session_rearm(d->session);
    (void)desk_hear_head(d, client, "HTTP/1.1 408 ");
}

static void a_client_that_rests_for_too_long_is_closed(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d), dest = serve_one(d, client);
    let_the_deadline_come(d, &d->proxy.settings.idle_timeout_s);
    desk_hear_end(d, client, 0);
    desk_hear_end(d, dest, 0);
    desk_await_closed(d);
}

static void a_destination_that_answers_nothing_becomes_504(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    desk_ask(d, client, GET("/"));
    int dest = desk_accept(d);
    (void)desk_hear_head(d, dest, "GET / HTTP/1.1\r\n");
    let_the_deadline_come(d, &d->proxy.settings.idle_timeout_s);
    assert_non_null(strstr(desk_hear_head(d, client, "HTTP/1.1 504 "), "error=http_response_timeout"));
    desk_hear_end(d, dest, 0);
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, desk_setup, desk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_allows_these_steps_and_no_others),
        ONE(a_slow_request_is_told_that_it_was),
        ONE(a_client_that_rests_for_too_long_is_closed),
        ONE(a_destination_that_answers_nothing_becomes_504),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
