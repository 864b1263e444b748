/* A standard error that is not read never blocks the program; lost lines are reported later. */
#include "base/log_capture.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>

enum { MANY = 3000, ROUNDS = 100, GIVE_UP_S = 60 };

static int reader = -1;
static char text[1 << 20]; /* everything read since the test began */
static size_t text_len;
static size_t padding; /* additional bytes in each line */

/* A blocked program ends by this signal. */
static int end_if_held_up(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)alarm(GIVE_UP_S);
    return 0;
}

/* Report lost lines into a file, so that the next test begins with none. */
static int release(void **state)
{
    int file = memfd_create("rest", 0);
    (void)dup2(file, STDERR_FILENO);
    log_setup(LOG_INFO, LOG_TEXT);
    log_plain(EVENT_LISTEN_FAILED);
    (void)close(file);
    (void)close(reader);
    return capture_end(state);
}

static int read_by(int fd)
{
    reader = fd;
    text_len = 0;
    return fcntl(reader, F_SETFL, O_NONBLOCK);
}

static int pipe_begin(void **state)
{
    int ends[2];
    (void)state;
    if (pipe(ends) < 0 || fcntl(ends[1], F_SETPIPE_SZ, 4096) < 0)
        return -1;
    return read_by(ends[0]) < 0 ? -1 : capture_by(ends[1]);
}

static int socket_begin(void **state)
{
    int ends[2];
    (void)state;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
        return -1;
    return read_by(ends[0]) < 0 ? -1 : capture_by(ends[1]);
}

/* The case in which standard error cannot be opened again. */
static int foreign_pipe_begin(void **state)
{
    if (pipe_begin(state) < 0)
        return -1;
    int file = memfd_create("log", 0);
    (void)dup2(file, STDERR_FILENO);
    log_setup(LOG_INFO, LOG_TEXT);
    (void)close(file);
    return dup2(sink_fd, STDERR_FILENO) < 0 ? -1 : 0;
}

static int terminal_begin(void **state)
{
    (void)state;
    int fd = posix_openpt(O_RDWR | O_NOCTTY);
    if (fd < 0 || grantpt(fd) < 0 || unlockpt(fd) < 0 || read_by(fd) < 0)
        return -1;
    return capture_by(open(ptsname(fd), O_RDWR | O_NOCTTY));
}

/* Read what is there. Bytes for a terminal arrive a little later. */
static const char *read_more(void)
{
    struct pollfd p = {.fd = reader, .events = POLLIN};
    (void)poll(&p, 1, 1000);
    for (ssize_t n = 1; n > 0; text_len += n > 0 ? (size_t)n : 0)
        n = read(reader, text + text_len, sizeof text - 1 - text_len);
    text[text_len] = '\0';
    return text;
}

static void say(int number)
{
    struct log_line l;
    log_begin(&l, EVENT_LISTEN_FAILED);
    log_u64(&l, "number", (uint64_t)number);
    static char pad[2000];
    memset(pad, 'x', sizeof pad);
    log_slice(&l, "pad", slice_of(pad, padding));
    log_str(&l, "fill", "is there so that lines differ in no more than the number");
    log_end(&l);
}

static int notices(const char *p)
{
    int n = 0;
    while ((p = strstr(p, " warn log lines lost hidden=")) != NULL)
        p++, n++;
    return n;
}

/* Each line is there, whole and in its place, or counted by a notice there. A terminal may take part of a
 * lost line. @return the number of lines that the text accounts for */
static int accounted(const char *p)
{
    int next = 0;
    for (const char *end; (end = strchr(p, '\n')) != NULL; p = end + 1) {
        static const char whole[] = "the number\"";
        const char *tail = end - (end > p && end[-1] == '\r') - strlen(whole);
        int n = -1;
        if (sscanf(p, "%*s warn log lines lost hidden=%d", &n) == 1) {
            assert_true(n > 0);
            next += n;
        } else if (tail > p && memcmp(tail, whole, strlen(whole)) == 0) {
            assert_int_equal(sscanf(p, "%*s error cannot listen any more number=%d", &n), 1);
            assert_int_equal(n, next);
            next++;
        }
    }
    return next;
}

static void loss_is_told(void)
{
    int said = 0;
    text_len = 0;
    log_setup(LOG_INFO, LOG_TEXT);
    while (said < MANY)
        say(said++);
    log_setup(LOG_ERROR, LOG_TEXT); /* with errors only, the notice is written nevertheless */
    for (int i = 0; accounted(read_more()) < said; i++) {
        assert_true(i < ROUNDS);
        say(said++);
    }
    int told = notices(text);
    assert_true(told > 0);

    say(said++);
    for (int i = 0; accounted(read_more()) < said; i++)
        assert_true(i < ROUNDS);
    assert_int_equal(notices(text), told);
}

static void test_pipe(void **state)
{
    loss_is_told();
    const char *ninth = strstr(text, "number=9 "); /* it is completely full */
    assert_true(ninth && ninth < strstr(text, "log lines lost"));
    /* The flags of standard error are those of other programs that share it. */
    assert_false(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK);
    (void)state;
}

static void test_pipe_that_cannot_be_opened(void **state)
{
    loss_is_told();
    (void)state;
}

static void test_socket(void **state)
{
    loss_is_told();
    (void)state;
}

static void test_terminal_that_nobody_reads(void **state)
{
    for (padding = 0; padding < 1900; padding += 171)
        loss_is_told();
    padding = 0;
    assert_false(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK);
    (void)state;
}

static void test_terminal_that_is_stopped(void **state)
{
    assert_int_equal(tcflow(STDERR_FILENO, TCOOFF), 0);
    for (int i = 0; i < 5; i++)
        say(i);
    assert_int_equal(tcflow(STDERR_FILENO, TCOON), 0);
    say(5);
    for (int i = 0; accounted(read_more()) < 6; i++)
        assert_true(i < ROUNDS);
    assert_non_null(strstr(text, " warn log lines lost hidden=5"));
    (void)state;
}

static void test_loss_as_json(void **state)
{
    log_setup(LOG_INFO, LOG_JSON);
    for (int i = 0; i < 200; i++)
        say(i);
    size_t before = strlen(read_more());
    log_plain(EVENT_STOPPED);
    const char *lines = read_more() + before,
               *told = strstr(lines, "\"level\":\"warn\",\"event\":\"log_lines_lost\","
                                     "\"message\":\"log lines lost\",\"hidden\":");
    assert_true(*lines == '{' && told);
    const char *next = strchr(lines, '\n');
    assert_memory_equal(next - 1, "}\n{", 3);
    assert_non_null(strstr(next, "\"event\":\"stopped\",\"message\":\"stopped\"}\n"));
    (void)state;
}

/* The longest notice and the longest line are written together, or not at all. */
static void test_a_full_line_after_a_loss(void **state)
{
    static char fill[2048];
    struct log_line l;
    memset(fill, 'x', sizeof fill);
    for (int i = 0; i < 200; i++)
        say(i);
    size_t before = strlen(read_more());
    log_begin(&l, EVENT_STOPPED);
    log_slice(&l, "k", slice_of(fill, sizeof l.entry.text.bytes - l.entry.text.len - strlen(" k=}\n")));
    log_end(&l);
    const char *lines = read_more() + before, *next = strchr(lines, '\n');
    assert_non_null(next);
    assert_non_null(strstr(lines, "log lines lost"));
    assert_in_range(strlen(next + 1), 2040, 2048);
    (void)state;
}

static void test_reader_that_is_gone(void **state)
{
    assert_int_equal(close(reader), 0);
    reader = -1;
    for (int i = 0; i < MANY; i++)
        say(i);
    assert_int_equal(close(STDERR_FILENO), 0);
    for (int i = 0; i < MANY; i++)
        say(i);
    log_setup(LOG_INFO, LOG_TEXT);
    for (int i = 0; i < MANY; i++)
        say(i);
    (void)state;
}

static void test_file_loses_nothing(void **state)
{
    for (int i = 0; i < MANY; i++)
        say(i);
    ssize_t n = pread(sink_fd, text, sizeof text - 1, 0);
    assert_true(n > 0);
    text[n] = '\0';
    assert_int_equal(accounted(text), MANY);
    assert_int_equal(notices(text), 0);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pipe, pipe_begin, release),
        cmocka_unit_test_setup_teardown(test_pipe_that_cannot_be_opened, foreign_pipe_begin, release),
        cmocka_unit_test_setup_teardown(test_socket, socket_begin, release),
        cmocka_unit_test_setup_teardown(test_terminal_that_nobody_reads, terminal_begin, release),
        cmocka_unit_test_setup_teardown(test_terminal_that_is_stopped, terminal_begin, release),
        cmocka_unit_test_setup_teardown(test_loss_as_json, pipe_begin, release),
        cmocka_unit_test_setup_teardown(test_a_full_line_after_a_loss, pipe_begin, release),
        cmocka_unit_test_setup_teardown(test_reader_that_is_gone, pipe_begin, release),
        WITH_CAPTURE(test_file_loses_nothing),
    };
    return cmocka_run_group_tests(tests, end_if_held_up, NULL);
}
