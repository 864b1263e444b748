/* The sinks that users name: what they write, that they never wait, that a file is opened again. */
#include "log/log_to.h"

#include "log/log_file.h"
#include "log/log_journal.h"
#include "log/log_syslog.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { MANY = 5000, GIVE_UP_S = 60 };

static char folder[] = "/tmp/steerway-log-XXXXXX";
static char path[64], other[64];
static char got[1 << 20];

static int begin(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)alarm(GIVE_UP_S);
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof path, "%s/it", folder);
    (void)snprintf(other, sizeof other, "%s/other", folder);
    return 0;
}

static int end(void **state)
{
    (void)state;
    return rmdir(folder);
}

static int forget(void **state)
{
    (void)state;
    log_setup(LOG_INFO, LOG_TEXT);
    (void)unlink(path);
    (void)unlink(other);
    return 0;
}

static int service(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    (void)strcpy(at.sun_path, path);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0);
    return fd;
}

/* @return the length, or 0 if nothing is there */
static size_t receive(int fd)
{
    ssize_t n = recv(fd, got, sizeof got - 1, 0);

    got[n < 0 ? 0 : n] = '\0';
    return n < 0 ? 0 : (size_t)n;
}

static void use(int r, struct log_sink **sink)
{
    assert_int_equal(r, 0);
    log_use(*sink);
    log_set_level(LOG_INFO);
}

static void say(uint64_t number)
{
    struct log_line l;

    log_begin(&l, EVENT_UPLINK_DOWN);
    log_str(&l, "uplink", "the first");
    log_u64(&l, "number", number);
    log_end(&l);
}

/* --- journald ------------------------------------------------------------------------------------------- */

static void test_journal_gets_each_field(void **state)
{
    static const char lines[] = "NAME\n\x03\0\0\0\0\0\0\0a\nb\n";
    struct log_sink *sink = NULL;
    struct log_line l;
    int fd = service();

    (void)state;
    use(log_journal_open(&sink, path), &sink);
    log_begin(&l, EVENT_UPLINK_DOWN);
    log_str(&l, "uplink", "the first");
    log_num(&l, "share", 0.5);
    log_end(&l);
    assert_true(receive(fd) > 0);
    assert_string_equal(got, "PRIORITY=4\nSYSLOG_IDENTIFIER=steerway\nSTEERWAY_EVENT=uplink_down\n"
                             "UPLINK=the first\nSHARE=0.500\n"
                             "MESSAGE=uplink down uplink=\"the first\" share=0.500\n");
    log_begin(&l, EVENT_POLICY_SAYS);
    log_str(&l, "name", "a\nb");
    log_end(&l);
    size_t n = receive(fd);
    char *field = memmem(got, n, "NAME\n", 5);
    assert_non_null(field);
    assert_memory_equal(field, lines, sizeof lines - 1);
    assert_string_equal(field + sizeof lines - 1, "MESSAGE=policy says name=\"a\\u000ab\"\n");
    (void)close(fd);
}

static void test_journal_has_a_priority_for_each_level(void **state)
{
    static const char digits[] = "3467";
    struct log_sink *sink = NULL;
    int fd = service();

    (void)state;
    use(log_journal_open(&sink, path), &sink);
    log_set_level(LOG_DEBUG);
    for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
        struct log_line l;
        log_begin_at(&l, (enum log_level)level, EVENT_POLICY_SAYS);
        log_end(&l);
        assert_true(receive(fd) > 0);
        assert_int_equal(got[strlen("PRIORITY=")], digits[level]);
    }
    (void)close(fd);
}

/* Lines of any length: a field is there whole or not at all, and the datagram can be read to its end. */
static void test_journal_with_fields_that_do_not_fit(void **state)
{
    static char fill[2100];
    struct log_sink *sink = NULL;
    int fd = service();

    (void)state;
    use(log_journal_open(&sink, path), &sink);
    for (size_t n = 1; n < sizeof fill; n += 13) {
        struct log_line l;
        memset(fill, 'x', sizeof fill);
        log_begin(&l, EVENT_POLICY_SAYS);
        log_slice(&l, "fill", slice_of(fill, n));
        log_str(&l, "last", "yes");
        log_end(&l);
        size_t len = receive(fd);
        char *field = strstr(got, "FILL=");
        assert_int_equal(got[len - 1], '\n');
        assert_int_equal(field ? strspn(field + 5, "x") : 0, field ? n : 0);
        assert_true(field || n > 2000);
    }
    (void)close(fd);
}

/* --- syslog --------------------------------------------------------------------------------------------- */

static void test_syslog_line(void **state)
{
    char month[4], expected[64];
    int priority, day, hour, minute, second, pid, n = 0;
    struct log_sink *sink = NULL;
    int fd = service();

    (void)state;
    use(log_syslog_open(&sink, path, LOG_FORM_BARE), &sink);
    say(7);
    assert_true(receive(fd) > 0);
    assert_int_equal(sscanf(got, "<%d>%3s %d %d:%d:%d steerway[%d]: %n", &priority, month, &day, &hour,
                            &minute, &second, &pid, &n),
                     7);
    assert_int_equal(priority, 24 + 4);
    assert_int_equal(pid, getpid());
    assert_non_null(strstr("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec", month));
    (void)snprintf(expected, sizeof expected, "<28>%s %2d %02d:%02d:%02d ", month, day, hour, minute, second);
    assert_memory_equal(got, expected, strlen(expected));
    assert_string_equal(got + n, "uplink down uplink=\"the first\" number=7");
    (void)close(fd);
}

static void test_syslog_as_json(void **state)
{
    struct log_sink *sink = NULL;
    int fd = service();

    (void)state;
    use(log_syslog_open(&sink, path, LOG_FORM_JSON), &sink);
    say(7);
    assert_true(receive(fd) > 0);
    char *message = strstr(got, "]: ");
    assert_non_null(message);
    assert_memory_equal(message + 3, "{\"time\":\"", 9);
    assert_string_equal(strstr(got, "\"uplink\":"), "\"uplink\":\"the first\",\"number\":7}");
    (void)close(fd);
}

/* --- services that do not read, are restarted, or are not there -------------------------------------------
 */

static void test_a_service_that_does_not_read(void **state)
{
    struct log_sink *sink = NULL;
    int fd = service();
    unsigned long long lost = 0;
    size_t lines = 0;

    (void)state;
    use(log_syslog_open(&sink, path, LOG_FORM_BARE), &sink);
    for (uint64_t i = 0; i < MANY; i++)
        say(i);
    while (receive(fd) > 0)
        lines++;
    assert_in_range(lines, 1, MANY - 1);
    say(MANY);
    assert_true(receive(fd) > 0);
    const char *told = strstr(got, "log lines lost hidden=");
    assert_non_null(told);
    assert_int_equal(sscanf(told, "log lines lost hidden=%llu", &lost), 1);
    assert_int_equal(lost + lines, MANY);
    assert_true(receive(fd) > 0 && strstr(got, "number=5000"));
    (void)close(fd);
}

static void test_a_service_that_is_restarted(void **state)
{
    struct log_sink *sink = NULL;
    int fd = service();

    (void)state;
    use(log_journal_open(&sink, path), &sink);
    (void)close(fd);
    say(1);
    (void)unlink(path);
    say(2);
    fd = service();
    say(3);
    assert_true(receive(fd) > 0 && strstr(got, "\nHIDDEN=2\nMESSAGE=log lines lost hidden=2\n"));
    assert_true(receive(fd) > 0 && strstr(got, "\nNUMBER=3\n"));
    (void)close(fd);
}

static void test_a_service_that_is_not_there(void **state)
{
    struct log_sink *sink = NULL;
    char long_path[200];

    (void)state;
    assert_int_equal(log_journal_open(&sink, path), -ENOENT);
    assert_int_equal(log_syslog_open(&sink, path, LOG_FORM_BARE), -ENOENT);
    int fd = service();
    (void)close(fd);
    assert_int_equal(log_syslog_open(&sink, path, LOG_FORM_BARE), -ECONNREFUSED);
    memset(long_path, '/', sizeof long_path);
    long_path[sizeof long_path - 1] = '\0';
    assert_int_equal(log_syslog_open(&sink, long_path, LOG_FORM_BARE), -ENAMETOOLONG);
    assert_null(sink);
}

/* --- files ---------------------------------------------------------------------------------------------- */

static const char *content(const char *of)
{
    int fd = open(of, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, got, sizeof got - 1);

    assert_true(n >= 0);
    got[n] = '\0';
    (void)close(fd);
    return got;
}

static size_t lines_of(const char *text)
{
    size_t n = 0;

    for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++)
        n++;
    return n;
}

static void test_file_is_appended_to(void **state)
{
    struct log_sink *sink = NULL;
    struct stat st;
    mode_t mask = umask(022);

    (void)state;
    for (int i = 0; i < 2; i++) {
        use(log_file_open(&sink, path, LOG_FORM_TEXT), &sink);
        say(1);
    }
    (void)umask(mask);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(lines_of(content(path)), 2);
}

static void test_file_that_was_renamed(void **state)
{
    struct log_sink *sink = NULL;

    (void)state;
    use(log_file_open(&sink, path, LOG_FORM_TEXT), &sink);
    say(1);
    assert_int_equal(rename(path, other), 0);
    say(2);
    assert_int_equal(log_reopen(), 0);
    say(3);
    assert_int_equal(lines_of(content(other)), 2);
    assert_int_equal(lines_of(content(path)), 1);
    assert_non_null(strstr(got, "number=3\n"));
}

static void test_file_that_cannot_be_opened_again(void **state)
{
    struct log_sink *sink = NULL;

    (void)state;
    use(log_file_open(&sink, path, LOG_FORM_TEXT), &sink);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(log_reopen(), -EISDIR);
    say(1);
    assert_int_equal(lines_of(content(other)), 1);
    assert_int_equal(rmdir(path), 0);
}

/* The size limit fails a write as a full disk does: the last line is cut. */
static void test_full_disk(void **state)
{
    struct log_sink *sink = NULL;
    struct rlimit before, small;
    unsigned long long lost = 0;

    (void)state;
    use(log_file_open(&sink, path, LOG_FORM_TEXT), &sink);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){.rlim_cur = 1000, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (uint64_t i = 0; i < 50; i++)
        say(i);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    const size_t whole = lines_of(content(path));
    assert_int_equal(strlen(got), 1000);
    say(50);
    char *rest = (char *)(uintptr_t)content(path) + 1000;
    assert_int_equal(*rest, '\n'); /* ends the line that was cut */
    assert_int_equal(sscanf(rest + 1, "%*s warn log lines lost hidden=%llu", &lost), 1);
    assert_int_equal(whole + lost, 50);
    assert_non_null(strstr(rest, "number=50\n"));
}

static void test_pipe_that_is_not_read(void **state)
{
    struct log_sink *sink = NULL;

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(log_file_open(&sink, path, LOG_FORM_TEXT), -ENXIO);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    use(log_file_open(&sink, path, LOG_FORM_TEXT), &sink);
    for (uint64_t i = 0; i < MANY; i++)
        say(i);
    ssize_t n = read(fd, got, sizeof got - 1);
    assert_true(n > 0);
    say(MANY);
    n = read(fd, got, sizeof got - 1);
    got[n] = '\0';
    assert_non_null(strstr(got, "log lines lost hidden="));
    assert_non_null(strstr(got, "number=5000\n"));
    (void)close(fd);
}

/* --- names ---------------------------------------------------------------------------------------------- */

static void test_stderr_that_is_the_journal(void **state)
{
    struct log_sink *sink = NULL;
    struct stat st;
    char text[64];
    int saved = dup(STDERR_FILENO), fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    (void)state;
    assert_true(fd >= 0 && fstat(fd, &st) == 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
    for (int other_inode = 0; other_inode < 2; other_inode++) {
        (void)snprintf(text, sizeof text, "%llu:%llu", (unsigned long long)st.st_dev,
                       (unsigned long long)st.st_ino + (unsigned)other_inode);
        assert_int_equal(setenv("JOURNAL_STREAM", text, 1), 0);
        use(log_to_open(&sink, NULL, LOG_AUTO), &sink);
        say(1);
    }
    use(log_to_open(&sink, "stderr", LOG_JSON), &sink);
    say(1);
    assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
    (void)dup2(saved, STDERR_FILENO);
    (void)close(saved);
    (void)close(fd);
    static const char first[] = "<4>uplink down uplink=\"the first\" number=1\n";
    assert_memory_equal(content(path), first, sizeof first - 1);
    assert_memory_equal(got + sizeof first - 1 + strlen("2026-03-01T08:15:00.250Z"), " warn uplink down", 17);
    assert_non_null(strstr(got, "\n{\"time\":"));
}

static void test_words(void **state)
{
    struct log_sink *sink = NULL;

    (void)state;
    assert_true(log_to_is_word("stderr") && log_to_is_word("journal") && log_to_is_word("syslog"));
    assert_false(log_to_is_word("./stderr") || log_to_is_word("jurnal") || log_to_is_word(""));
    assert_true(log_to_is_stderr(NULL) && log_to_is_stderr("stderr"));
    assert_false(log_to_is_stderr("journal") || log_to_is_stderr("/x"));
    assert_true(log_to_is_journal("journal"));
    assert_false(log_to_is_journal(NULL) || log_to_is_journal("syslog"));
    use(log_to_open(&sink, path, LOG_JSON), &sink);
    say(1);
    assert_int_equal(*content(path), '{');
    use(log_to_open(&sink, path, LOG_AUTO), &sink);
    say(2);
    assert_non_null(strstr(content(path), "Z warn uplink down uplink=\"the first\" number=2\n"));
}

#define IT(test) cmocka_unit_test_teardown(test, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IT(test_journal_gets_each_field),
        IT(test_journal_has_a_priority_for_each_level),
        IT(test_journal_with_fields_that_do_not_fit),
        IT(test_syslog_line),
        IT(test_syslog_as_json),
        IT(test_a_service_that_does_not_read),
        IT(test_a_service_that_is_restarted),
        IT(test_a_service_that_is_not_there),
        IT(test_file_is_appended_to),
        IT(test_file_that_was_renamed),
        IT(test_file_that_cannot_be_opened_again),
        IT(test_full_disk),
        IT(test_pipe_that_is_not_read),
        IT(test_stderr_that_is_the_journal),
        IT(test_words),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
