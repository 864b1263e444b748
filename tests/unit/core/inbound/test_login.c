/* When a client's name and password are checked, when they must wait, and what the fronts do meanwhile. No
 * test waits for a second: it shortens the delay of the session. */
#include "http/exchange_desk.h"

#include "access/hashes.h"
#include "inbound/login.h"

#define ADA_RIGHT "YWRhOnJpZ2h0" /* "ada:right" */
#define ADA_WRONG "YWRhOndyb25n"
#define ASK(login) "GET http://$/ HTTP/1.1\r\nHost: $\r\nProxy-Authorization: Basic " login "\r\n\r\n"

/* An address that has sent so many wrong passwords is a guesser for another minute. */
enum { MANY = 2 * GUESSES_FREE };
/* After so long, an address may send one more wrong password. */
static const double FORGIVEN_S = 6;

static int setup(void **state)
{
    int r = desk_setup(state);
    struct desk *d = *state;

    assert_int_equal(access_add_user(&d->access, slice_str("ada:right")), 0);
    return r;
}

static void guess(struct desk *d, int times)
{
    for (int i = 0; i < times; i++)
        (void)guesses_note_wrong(&d->proxy.guesses, &d->session->peer, clock_now_s());
}

static double wait_of(struct desk *d)
{
    return guesses_wait(&d->proxy.guesses, &d->session->peer, clock_now_s());
}

static bool is_known(const struct desk *d)
{
    return guesses_know(&d->proxy.guesses, &d->session->peer, slice_str("ada"));
}

static enum login log_in(struct desk *d, const char *pass)
{
    return session_login(d->session, true, slice_str("ada"), slice_str(pass));
}

/* --- the decision --------------------------------------------------------------------------------------- */

enum address { HONEST, GUESSER, CROWDED }; /* CROWDED: too many logins of the guesser wait already */

struct row {
    const char *what;
    enum address from;
    bool known, waited, missing, wrong;
    enum login result;
    bool known_then, counted; /* counted: as a guess; looked at for HONEST only */
};

static void prepare(struct desk *d, const struct row *row)
{
    guesses_done(&d->proxy.guesses);
    if (row->known)
        guesses_note_right(&d->proxy.guesses, &d->session->peer, slice_str("ada"));
    guess(d, row->from == HONEST ? GUESSES_FREE - 1 : MANY);
    for (int i = 0; row->from == CROWDED && wait_of(d) >= 0; i++)
        assert_true(i < 100 * GUESSES_PER_SECOND);
    d->session->waited = row->waited;
}

static void follow_row(struct desk *d, const struct row *row)
{
    int client = desk_client(d);
    double begin;
    enum login result;
    bool counted;
    int tries = 0;

    do { /* guesses are forgiven with time, and a suspended process would miss one */
        begin = clock_now_s();
        if (d->session->state == SESSION_SLOWED)
            session_enter(d->session, SESSION_READING);
        prepare(d, row);
        result = session_login(d->session, !row->missing, slice_str("ada"),
                               slice_str(row->wrong ? "wrong" : "right"));
        counted = row->from == HONEST && wait_of(d) > 0;
    } while (clock_now_s() - begin > FORGIVEN_S / 2 && ++tries < TRIES);

    if (result != row->result || is_known(d) != row->known_then || counted != row->counted)
        FIXTURE_FAIL(d->f, "%s: result %d, known %d, counted %d", row->what, result, is_known(d), counted);
    bool waits = result == LOGIN_WAITS;
    assert_int_equal(d->session->state, waits ? SESSION_SLOWED : SESSION_READING);
    assert_int_equal(d->session->waited, waits || row->waited);
    if (waits)
        assert_true(d->session->slowed_s > 0.5 && d->session->slowed_s <= 10);
    session_close(d->session, NULL);
    desk_close(d, client);
}

static void what_each_login_gets(void **state)
{
    static const struct row rows[] = {
        {"right", .result = LOGIN_RIGHT, .known_then = true},
        {"wrong", .wrong = true, .result = LOGIN_WRONG, .counted = true},
        {"none", .missing = true, .result = LOGIN_WRONG}, /* browsers ask that way first: not a guess */
        {"known", .known = true, .result = LOGIN_RIGHT, .known_then = true},
        {"known, but wrong", .known = true, .wrong = true, .result = LOGIN_WRONG, .known_then = true,
         .counted = true},
        /* An address that guesses waits, whether the password is right or wrong. */
        {"right among guesses", GUESSER, .result = LOGIN_WAITS},
        {"wrong among guesses", GUESSER, .wrong = true, .result = LOGIN_WAITS},
        {"none among guesses", GUESSER, .missing = true, .result = LOGIN_WRONG},
        {"known among guesses", GUESSER, .known = true, .result = LOGIN_RIGHT, .known_then = true},
        {"known, but wrong, among guesses", GUESSER, .known = true, .wrong = true, .result = LOGIN_WAITS,
         .known_then = true},
        /* After the delay it is checked. */
        {"right after a delay", GUESSER, .waited = true, .result = LOGIN_RIGHT, .known_then = true},
        {"wrong after a delay", GUESSER, .waited = true, .wrong = true, .result = LOGIN_WRONG},
        {"wrong after a delay, forgiven", .waited = true, .wrong = true, .result = LOGIN_WRONG,
         .counted = true},
        /* Where the delay would be too long, all are refused unchecked, but for the known. */
        {"right in a crowd", CROWDED, .result = LOGIN_WRONG},
        {"wrong in a crowd", CROWDED, .wrong = true, .result = LOGIN_WRONG},
        {"known in a crowd", CROWDED, .known = true, .result = LOGIN_RIGHT, .known_then = true},
        {"right in a crowd after a delay", CROWDED, .waited = true, .result = LOGIN_RIGHT,
         .known_then = true},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        follow_row(*state, &rows[i]);
}

static void without_users_everybody_may_come(void **state)
{
    struct desk *d = *state;

    access_clear_users(&d->access);
    (void)desk_client(d);
    guess(d, MANY);
    assert_int_equal(log_in(d, "whatever"), LOGIN_RIGHT);
    assert_int_equal(session_login(d->session, false, slice_str(""), slice_str("")), LOGIN_RIGHT);
    assert_int_equal(d->session->state, SESSION_READING);
    assert_false(is_known(d));
}

static void only_the_guessing_address_is_slowed(void **state)
{
    struct desk *d = *state;

    (void)desk_client(d);
    guess(d, MANY);
    d->session->peer.in4.sin_addr.s_addr ^= 1;
    assert_int_equal(log_in(d, "right"), LOGIN_RIGHT);
    d->session->peer.in4.sin_addr.s_addr ^= 1;
    assert_int_equal(log_in(d, "right"), LOGIN_WAITS);
}

/* --- hashed passwords --- */

/* Otherwise a client's guesses would all be checked before the first is counted. */
static void a_client_has_few_checks_at_a_time(void **state)
{
    static const char user[] = "eve:$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2\n";
    char path[] = "/tmp/steerway-login-XXXXXX", err[256];
    struct desk *d = *state;
    int fd = mkstemp(path);

    if (!hashes_are_there())
        skip();
    assert_int_equal(write(fd, user, sizeof user - 1), sizeof user - 1);
    assert_int_equal(close(fd), 0);
    assert_int_equal(access_add_file(&d->access, path, err, sizeof err), 0);
    assert_int_equal(unlink(path), 0);
    for (size_t i = 0; i < 8; i++) {
        (void)desk_client(d);
        assert_int_equal(session_login(d->session, true, slice_str("eve"), slice_str("wrong")), LOGIN_WAITS);
        assert_int_equal(d->session->state, SESSION_SLOWED);
        assert_int_equal(d->session->check != NULL, i < 4);
        assert_int_equal(d->session->client->checks, i < 4 ? i + 1 : 4);
    }
}

/* --- the log -------------------------------------------------------------------------------------------- */

static void guess_until_slowed(struct desk *d)
{
    int n = 0;

    guesses_done(&d->proxy.guesses);
    while (wait_of(d) == 0) {
        assert_int_equal(log_in(d, "wrong"), LOGIN_WRONG);
        assert_true(++n < 10 * MANY);
    }
    assert_true(n >= GUESSES_FREE);
    for (int i = 0; i < MANY; i++) { /* told once */
        d->session->waited = true;
        assert_int_equal(log_in(d, "wrong"), LOGIN_WRONG);
    }
    d->session->waited = false;
}

/* @return how many lines end like this, for an address that begins to guess */
static size_t lines_of_guesses(struct desk *d, struct log_limit limit, const char *end)
{
    size_t before;
    double begin;
    int tries = 0;

    do { /* as above */
        begin = clock_now_s();
        before = fixture_log_count(d->f, end);
        d->proxy.guess_limit = limit;
        guess_until_slowed(d);
    } while (clock_now_s() - begin > FORGIVEN_S / 2 && ++tries < TRIES);
    return fixture_log_count(d->f, end) - before;
}

static void a_line_tells_that_an_address_is_slowed(void **state)
{
    struct desk *d = *state;
    struct log_limit limit = {.since_s = clock_now_s() + 1000, .shown = PROXY_LINES_IN_WINDOW, .hidden = 3};

    (void)desk_client(d);
    assert_int_equal(lines_of_guesses(d, (struct log_limit){.shown = 0}, " client=127.0.0.1\n"), 1);
    assert_int_equal(lines_of_guesses(d, limit, "client=127.0.0.1"), 0);
    assert_int_equal(d->proxy.guess_limit.hidden, 4);
    limit.since_s = clock_now_s() - 1000; /* a new window begins */
    assert_int_equal(lines_of_guesses(d, limit, " client=127.0.0.1 hidden=3\n"), 1);
}

/* --- the fronts ----------------------------------------------------------------------------------------- */

/* Without a further byte of the client, and none is read meanwhile. */
static void let_the_delay_pass(struct desk *d, int client)
{
    desk_turn_until(d, desk_is_in_state, SESSION_SLOWED, "the login is not delayed");
    desk_hear_nothing(d, client);
    assert_false(ev_is_active(&d->session->read));
    d->session->slowed_s = 0.01;
    session_rearm(d->session);
}

static void socks5_answers_after_the_delay(void **state)
{
    static const struct {
        const char *auth, *answer;
    } cases[] = {{"\1\3ada\5right", "\1"}, {"\1\3ada\5wrong", "\1\1"}};
    struct desk *d = *state;
    char in[2];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int client = desk_client(d);
        guesses_done(&d->proxy.guesses);
        guess(d, MANY);
        desk_say_str(client, "\5\1\2");
        desk_hear(d, client, "\5\2");
        desk_say_str(client, cases[i].auth);
        let_the_delay_pass(d, client);
        for (size_t k = 0; k < sizeof in; k++) {
            desk_await(d, client);
            assert_int_equal(recv(client, in + k, 1, 0), 1);
        }
        assert_memory_equal(in, cases[i].answer, sizeof in);
        assert_int_equal(is_known(d), i == 0);
        desk_close(d, client);
        desk_await_closed(d);
    }
}

/* Each login waits by itself, also on a kept connection. */
static void http_answers_after_the_delay(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);

    guess(d, MANY);
    for (int i = 0; i < 2; i++) {
        desk_ask(d, client, ASK(ADA_WRONG));
        let_the_delay_pass(d, client);
        const char *head = desk_hear_head(d, client, "HTTP/1.1 407 ");
        size_t body = strtoul(strstr(head, "Content-Length: ") + 16, NULL, 10);
        for (; body > 0; body--) {
            char byte;
            desk_await(d, client);
            assert_int_equal(recv(client, &byte, 1, 0), 1);
        }
    }
    desk_no_connection(d);
    desk_ask(d, client, ASK(ADA_RIGHT));
    let_the_delay_pass(d, client);
    int dest = desk_accept(d);
    (void)desk_hear_head(d, dest, "GET / HTTP/1.1\r\n");
    desk_say_str(dest, OK("yes", 3));
    (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
    desk_hear(d, client, "yes");
    await_rest(d);
    desk_ask(d, client, ASK(ADA_RIGHT)); /* known by now */
    (void)desk_hear_head(d, dest, "GET / HTTP/1.1\r\n");
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, setup, desk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(a_client_has_few_checks_at_a_time),      ONE(what_each_login_gets),
        ONE(without_users_everybody_may_come),       ONE(only_the_guessing_address_is_slowed),
        ONE(a_line_tells_that_an_address_is_slowed), ONE(socks5_answers_after_the_delay),
        ONE(http_answers_after_the_delay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
