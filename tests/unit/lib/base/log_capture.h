/* Captures standard error through a file that replaces it. */
#ifndef STEERWAY_TESTS_BASE_LOG_CAPTURE_H
#define STEERWAY_TESTS_BASE_LOG_CAPTURE_H

#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static int saved_stderr = -1, sink_fd = -1;

/* From now on, all output goes to this descriptor, which is taken over. */
static int capture_by(int fd)
{
    sink_fd = fd;
    saved_stderr = dup(STDERR_FILENO);
    if (sink_fd < 0 || saved_stderr < 0 || dup2(sink_fd, STDERR_FILENO) < 0)
        return -1;
    log_setup(LOG_INFO, LOG_TEXT);
    return 0;
}

static int capture_begin(void **state)
{
    (void)state;
    return capture_by(memfd_create("log", 0));
}

static int capture_end(void **state)
{
    (void)state;
    (void)dup2(saved_stderr, STDERR_FILENO);
    (void)close(saved_stderr);
    (void)close(sink_fd);
    log_setup(LOG_INFO, LOG_TEXT);
    return 0;
}

/* All output since the last call. */
static inline const char *captured(void)
{
    static char seen[8192];
    ssize_t n = pread(sink_fd, seen, sizeof seen - 1, 0);
    assert_true(n >= 0);
    seen[n] = '\0';
    assert_int_equal(ftruncate(sink_fd, 0), 0);
    assert_true(lseek(sink_fd, 0, SEEK_SET) == 0);
    return seen;
}

#define WITH_CAPTURE(test) cmocka_unit_test_setup_teardown(test, capture_begin, capture_end)

#endif
