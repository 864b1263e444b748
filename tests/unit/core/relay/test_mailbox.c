/* Messages between threads: none is lost, none comes twice, and bits that are added in transit arrive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "relay/mailbox.h"

#include <pthread.h>
#include <stdbool.h>

enum { SENDERS = 4, MESSAGES = 64, ROUNDS = 2000, SEALED = 1u << 31 };

static struct mailbox box;
static struct message messages[MESSAGES];
static unsigned seen[MESSAGES], n_read;
static struct message *order[MESSAGES];

static void note(struct mailbox *m, struct message *l, unsigned bits)
{
    assert_ptr_equal(m, &box);
    assert_int_not_equal(bits, 0);
    seen[l - messages] |= bits;
    if (n_read < MESSAGES)
        order[n_read] = l;
    n_read++;
}

static void setup(mailbox_read_fn *read)
{
    n_read = 0;
    for (size_t i = 0; i < MESSAGES; i++) {
        messages[i] = (struct message){.next = NULL};
        seen[i] = 0;
    }
    mailbox_init(&box, ev_loop_new(EVFLAG_AUTO), read);
}

static void teardown(void)
{
    struct ev_loop *loop = box.loop;
    mailbox_done(&box);
    ev_loop_destroy(loop);
}

static void messages_arrive_in_order_and_once(void **state)
{
    (void)state;
    setup(note);
    for (size_t i = 0; i < 5; i++)
        mailbox_send(&box, &messages[i], 1);
    mailbox_send(&box, &messages[2], 4);
    ev_run(box.loop, EVRUN_NOWAIT);
    assert_int_equal(n_read, 5);
    for (size_t i = 0; i < 5; i++)
        assert_ptr_equal(order[i], &messages[i]);
    assert_int_equal(seen[2], 5);
    mailbox_send(&box, &messages[2], 8);
    ev_run(box.loop, EVRUN_NOWAIT);
    assert_int_equal(n_read, 6);
    assert_int_equal(seen[2], 13);
    ev_run(box.loop, EVRUN_NOWAIT);
    assert_int_equal(n_read, 6);
    teardown();
}

static void a_sealed_message_is_not_sent_again(void **state)
{
    (void)state;
    setup(note);
    assert_true(message_seal(&messages[0], SEALED));
    mailbox_send(&box, &messages[0], 1);
    mailbox_send(&box, &messages[1], 1);
    assert_false(message_seal(&messages[1], SEALED)); /* too late: it was sent, and arrives */
    ev_run(box.loop, EVRUN_NOWAIT);
    assert_int_equal(n_read, 1);
    assert_int_equal(seen[1], SEALED | 1);
    teardown();
}

static bool answered;

static void answer(struct mailbox *m, struct message *l, unsigned bits)
{
    note(m, l, bits);
    if (!answered)
        mailbox_send(m, l, 2);
    answered = true;
}

static void the_reader_may_send_again(void **state)
{
    (void)state;
    answered = false;
    setup(answer);
    mailbox_send(&box, &messages[0], 1);
    mailbox_send(&box, &messages[1], 1);
    while (n_read < 3)
        ev_run(box.loop, EVRUN_ONCE);
    assert_int_equal(seen[0], 3);
    teardown();
}

/* Each sender counts in its own bits of messages that all share. */
static _Atomic unsigned sent[SENDERS][MESSAGES];

static void *send_many(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    for (unsigned i = 0; i < ROUNDS * MESSAGES; i++) {
        unsigned l = (i * 7 + me) % MESSAGES, bit = i / MESSAGES % 4;
        atomic_fetch_or(&sent[me][l], 1u << (me * 4 + bit));
        mailbox_send(&box, &messages[l], 1u << (me * 4 + bit));
    }
    return NULL;
}

static void many_threads_lose_none(void **state)
{
    pthread_t threads[SENDERS];

    (void)state;
    setup(note);
    for (uintptr_t i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, send_many, (void *)i), 0);
    for (size_t i = 0; i < SENDERS; i++) {
        for (int turns = 0; turns < 100; turns++)
            ev_run(box.loop, EVRUN_NOWAIT);
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    ev_run(box.loop, EVRUN_NOWAIT);
    mailbox_empty(&box);
    for (size_t l = 0; l < MESSAGES; l++) {
        unsigned all = 0;
        for (size_t i = 0; i < SENDERS; i++)
            all |= sent[i][l];
        assert_int_equal(seen[l], all);
        assert_int_equal(messages[l].bits, 0);
    }
    assert_true(n_read <= SENDERS * ROUNDS * MESSAGES);
    teardown();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_arrive_in_order_and_once),
        cmocka_unit_test(a_sealed_message_is_not_sent_again),
        cmocka_unit_test(the_reader_may_send_again),
        cmocka_unit_test(many_threads_lose_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
