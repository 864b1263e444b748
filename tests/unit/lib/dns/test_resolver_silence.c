/* News from a resolver about names without an answer. */
#include "dns/resolver_job.h"
#include "dns/resolver_room.h"

static enum resolver_news news_of(struct room *m, const char *name)
{
    assert_fault(m, name, &ONLY4, FAULT_DNS);
    return m->query.news;
}

/* The server answers other questions, so the name counts once. */
static void one_name_is_not_the_servers_silence(void **state)
{
    static const char *const names[] = {"silent.dead.test", "silent.www.dead.test"};
    struct room *m = *state;
    room_resolver(m, 1);
    assert_int_equal(news_of(m, "silent.dead.test"), RESOLVER_SILENCE);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(news_of(m, names[i]), RESOLVER_NO_NEWS);
    assert_gives(m, "four.test", &ONLY4, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80");
    assert_int_equal(m->query.news, RESOLVER_HEARD);
    assert_int_equal(news_of(m, "silent.dead.test"), RESOLVER_SILENCE); /* again, since there was an answer */
    assert_int_equal(news_of(m, "silent.other.test"), RESOLVER_SILENCE);
}

static void a_server_that_does_not_answer_the_check_is_silent(void **state)
{
    struct room *m = *state;
    struct addr mute;
    char text[ADDR_TEXT_MAX];
    int fd = socket_at_loopback(AF_INET, SOCK_DGRAM, &mute);
    room_servers(m, addr_format(&mute, text), 0.4);
    assert_int_equal(news_of(m, "a.dead.test"), RESOLVER_SILENCE);
    run_for(m, 0.6); /* the check's time */
    assert_int_equal(news_of(m, "a.dead.test"), RESOLVER_SILENCE);
    assert_int_equal(news_of(m, "a.dead.test"), RESOLVER_SILENCE);
    (void)close(fd);
}

static void a_name_is_not_held_against_those_who_answered_another_meanwhile(void **state)
{
    static struct room another;
    struct room *m = *state;
    room_resolver(m, 2);
    ask(m, "silent.dead.test", &ONLY4);
    another = (struct room){.resolver = m->resolver, .loop = m->loop, .servers = m->servers};
    resolve(&another, "four.test", &ONLY4);
    run_until(m->loop, &m->done);
    assert_int_equal(m->fault, FAULT_DNS);
    assert_int_equal(m->query.news, RESOLVER_NO_NEWS);
}

static void without_a_server_no_name_is_answered(void **state)
{
    struct room *m = *state;
    m->servers.n = 0;
    for (int i = 0; i < 3; i++)
        assert_int_equal(news_of(m, "a.test"), RESOLVER_SILENCE);
}

/* While waiting too: a race asks that way. */
static void whoever_waits_may_ask_for_the_news(void **state)
{
    struct room *m = *state;
    ask(m, "silent.test", &ONLY4);
    run_for(m, 0.1);
    assert_int_equal(resolver_unanswered(&m->query), RESOLVER_SILENCE);
    assert_int_equal(resolver_unanswered(&m->query), RESOLVER_NO_NEWS);
    resolver_cancel(&m->query);
    assert_int_equal(resolver_unanswered(&m->query), RESOLVER_NO_NEWS);
    assert_int_equal(news_of(m, "broken.test"), RESOLVER_NO_NEWS); /* SERVFAIL is an answer */
}

static void an_end_while_a_check_is_under_way(void **state)
{
    struct room *m = *state;
    room_resolver(m, 0.4);
    assert_int_equal(news_of(m, "silent.test"), RESOLVER_SILENCE);
    assert_true(m->resolver->check.running);
    m->servers.n = 0;
    resolver_aim(m->resolver, &ONLY4, &m->servers);
    assert_false(m->resolver->check.running);
    assert_int_equal(m->resolver->silence.n_zones, 0);
    room_resolver(m, 0.4);
    assert_int_equal(news_of(m, "silent.test"), RESOLVER_SILENCE);
    resolver_free(m->resolver); /* pending questions are counted at the end */
    m->resolver = NULL;
}

int main(void)
{
#define IN_ROOM(test) cmocka_unit_test_setup_teardown(test, room_open, room_close)
    const struct CMUnitTest tests[] = {
        IN_ROOM(one_name_is_not_the_servers_silence),
        IN_ROOM(a_server_that_does_not_answer_the_check_is_silent),
        IN_ROOM(a_name_is_not_held_against_those_who_answered_another_meanwhile),
        IN_ROOM(without_a_server_no_name_is_answered),
        IN_ROOM(whoever_waits_may_ask_for_the_news),
        IN_ROOM(an_end_while_a_check_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
