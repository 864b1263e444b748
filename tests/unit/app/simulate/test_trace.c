/* Traces: read as the proxy writes them, and made from a seed. */
#include "simulate/trace.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int read_text(struct trace *t, const char *text, char *err)
{
    char path[] = "/tmp/steerway-trace-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
    *t = (struct trace){.n = 0};
    int r = trace_read(t, path, err);
    (void)unlink(path);
    return r;
}

static const char GOOD[] =
    "{\"steerway_trace\":1}\n"
    "{\"t\":2.5,\"client\":\"10.0.0.1\",\"host\":\"b.example\",\"port\":80,\"proto\":\"http\",\"tx\":1,"
    "\"rx\":2,\"duration\":1}\n"
    "\n"
    "{\"t\":0.5,\"client\":\"10.0.0.1\",\"host\":\"a.example\",\"port\":443,\"tx\":3,\"rx\":4}\n"
    "{\"t\":2.5,\"client\":\"10.0.0.2\",\"host\":\"a.example\",\"port\":443,\"tx\":5,\"rx\":6}\n";

static void a_recording_is_read_in_order(void **state)
{
    struct trace t;
    char err[TRACE_ERROR_MAX];
    (void)state;
    assert_int_equal(read_text(&t, GOOD, err), 0);
    assert_int_equal(t.n, 3);
    assert_true(t.flows[0].t == 0.5 && t.flows[0].tx == 3 && t.flows[0].rx == 4 && t.flows[0].port == 443);
    assert_true(t.flows[1].tx == 1 && t.flows[2].tx == 5); /* flows at the same time keep their order */
    assert_string_equal(t.texts[t.flows[0].host], "a.example");
    assert_int_equal(t.flows[0].host, t.flows[2].host);
    assert_int_equal(t.flows[0].client, t.flows[1].client);
    assert_int_equal(t.n_texts, 4);
    trace_done(&t);
}

static void an_invalid_trace_is_refused_with_its_line(void **state)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"", ":1: the trace has no connections"},
        {"{\"steerway_trace\":1}\n", ":2: the trace has no connections"},
        {"hello\n", ":1: expected a JSON object"},
        {"{\"t\":1}\n", ":1: expected {\"steerway_trace\":1}"},
        {"{\"steerway_trace\":1}\n{}\n", ":2: t: expected seconds"},
        {"{\"steerway_trace\":1}\n{\"t\":-1}\n", ":2: t: expected seconds"},
        {"{\"steerway_trace\":1}\n{\"t\":1,\"client\":\"c\"}\n", ":2: client, host: expected two texts"},
        {"{\"steerway_trace\":1}\n{\"t\":1,\"client\":\"c\",\"host\":\"h\",\"port\":0,\"tx\":1,\"rx\":1}\n",
         ":2: port: expected"},
        {"{\"steerway_trace\":1}\n\n{\"t\":1,\"client\":\"c\",\"host\":\"h\",\"port\":1,\"tx\":-1,\"rx\":1}"
         "\n",
         ":3: tx, rx: expected"},
        {"{\"steerway_trace\":1}\n{\"t\":1,\"client\":\"c\",\"host\":\"h\",\"port\":1,\"tx\":1}\n",
         ":2: tx, rx: expected"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct trace t;
        char err[TRACE_ERROR_MAX] = "";
        assert_int_equal(read_text(&t, cases[i].text, err), -EINVAL);
        if (!strstr(err, cases[i].said))
            fail_msg("expected \"%s\" in \"%s\"", cases[i].said, err);
        trace_done(&t);
    }
    struct trace t = {.n = 0};
    char err[TRACE_ERROR_MAX];
    assert_int_equal(trace_read(&t, "/nonexistent/trace", err), -ENOENT);
    assert_string_equal(err, "/nonexistent/trace: No such file or directory");
}

/* Bytes a second. */
static const struct trace_offer OFFER = {.down = 1e6, .up = 3e5};

static void each_kind_is_made_the_same_each_time(void **state)
{
    (void)state;
    for (size_t k = 0; trace_kinds[k]; k++) {
        struct trace a = {.n = 0}, b = {.n = 0}, other = {.n = 0};
        assert_int_equal(trace_make(&a, trace_kinds[k], 3000, &OFFER, 7), 0);
        assert_int_equal(trace_make(&b, trace_kinds[k], 3000, &OFFER, 7), 0);
        assert_int_equal(trace_make(&other, trace_kinds[k], 3000, &OFFER, 8), 0);
        assert_int_equal(a.n, 3000);
        bool differs = false;
        double down = 0, up = 0;
        for (size_t i = 0; i < a.n; i++) {
            assert_true(a.flows[i].t == b.flows[i].t && a.flows[i].tx == b.flows[i].tx &&
                        a.flows[i].rx == b.flows[i].rx);
            assert_string_equal(a.texts[a.flows[i].host], b.texts[b.flows[i].host]);
            assert_true(i == 0 || a.flows[i].t >= a.flows[i - 1].t);
            differs = differs || a.flows[i].rx != other.flows[i].rx || a.flows[i].tx != other.flows[i].tx;
            down += (double)a.flows[i].rx;
            up += (double)a.flows[i].tx;
        }
        assert_true(differs);
        /* On average it offers the requested load, in the direction that is fuller. */
        double took_s = a.flows[a.n - 1].t, asked = fmax(down / OFFER.down, up / OFFER.up) / took_s;
        if (asked < 0.5 || asked > 1.5)
            fail_msg("%s asks for %.2f of what is offered", trace_kinds[k], asked);
        trace_done(&a);
        trace_done(&b);
        trace_done(&other);
    }
    struct trace t = {.n = 0};
    assert_int_equal(trace_make(&t, "nonesuch", 1, &OFFER, 1), -ENOENT);
}

static void a_download_comes_in_segments_of_one_size(void **state)
{
    struct trace t = {.n = 0};
    (void)state;
    assert_int_equal(trace_make(&t, "download", 160, &OFFER, 1), 0);
    for (size_t i = 0; i < t.n; i++) {
        const struct trace_flow *first = &t.flows[i / 16 * 16];
        assert_true(t.flows[i].t == first->t && t.flows[i].rx == first->rx && t.flows[i].host == first->host);
    }
    trace_done(&t);
}

static void many_texts_stay_apart(void **state)
{
    struct trace t = {.n = 0};
    uint32_t number, again;
    char text[32];
    (void)state;
    for (uint32_t i = 0; i < 20000; i++) {
        (void)snprintf(text, sizeof text, "host%u", i);
        assert_int_equal(trace_text(&t, text, &number), 0);
        assert_int_equal(number, i);
    }
    assert_int_equal(trace_text(&t, "host12345", &again), 0);
    assert_int_equal(again, 12345);
    trace_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recording_is_read_in_order),
        cmocka_unit_test(an_invalid_trace_is_refused_with_its_line),
        cmocka_unit_test(each_kind_is_made_the_same_each_time),
        cmocka_unit_test(a_download_comes_in_segments_of_one_size),
        cmocka_unit_test(many_texts_stay_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
