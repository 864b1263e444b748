/* Shared by all policy tests: hand-made uplinks, policy files in a temporary folder, and a captured log. */
#ifndef STEERWAY_TEST_POLICY_FIXTURE_H
#define STEERWAY_TEST_POLICY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/policy.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIXTURE_UPLINKS = 3 };

struct fixture {
    char dir[64];
    char file[128]; /* of the policy */
    char err[POLICY_ERROR_MAX];
    struct uplink_set set;
    struct policy *policy;
    int saved_stderr, log_fd;
};

static inline struct uplink *fixture_add_uplink(struct fixture *f, const char *name, double weight)
{
    struct uplink *u = calloc(1, sizeof *u);
    assert_non_null(u);
    u->view = (struct uplink_view){.weight = weight,
                                   .tier = 1,
                                   .id = (int32_t)f->set.n + 1,
                                   .up = true,
                                   .ipv4 = true,
                                   .quota_left = INFINITY};
    (void)snprintf(u->name, sizeof u->name, "%s", name);
    (void)snprintf(u->interface, sizeof u->interface, "%s", name);
    uplink_set_put(&f->set, u);
    return u;
}

static inline int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/steerway-policy-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->file, sizeof f->file, "%s/p.lua", f->dir);
    (void)fixture_add_uplink(f, "fibre", 7);
    struct uplink *lte = fixture_add_uplink(f, "lte", 3);
    lte->tags[0] = strdup("metered");
    lte->n_tags = 1;
    (void)fixture_add_uplink(f, "wifi", 1);

    FILE *log = tmpfile();
    assert_non_null(log);
    f->log_fd = dup(fileno(log));
    (void)fclose(log);
    f->saved_stderr = dup(STDERR_FILENO);
    assert_true(dup2(f->log_fd, STDERR_FILENO) >= 0);
    *state = f;
    return 0;
}

static inline int fixture_remove(const char *path, const struct stat *s, int type, struct FTW *w)
{
    (void)s, (void)type, (void)w;
    return remove(path);
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    assert_true(dup2(f->saved_stderr, STDERR_FILENO) >= 0);
    (void)close(f->saved_stderr);
    (void)close(f->log_fd);
    policy_free(f->policy);
    for (size_t i = 0; i < f->set.n; i++) {
        free(f->set.items[i]->tags[0]);
        free(f->set.items[i]);
    }
    assert_int_equal(nftw(f->dir, fixture_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(f);
    return 0;
}

/** The log so far; the caller frees it. */
static inline char *fixture_log(const struct fixture *f)
{
    off_t n = lseek(f->log_fd, 0, SEEK_END);
    char *text = calloc(1, (size_t)n + 1);
    assert_non_null(text);
    assert_int_equal(pread(f->log_fd, text, (size_t)n, 0), n);
    return text;
}

static inline size_t fixture_count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *p = strstr(text, what); p; p = strstr(p + 1, what))
        n++;
    return n;
}

static inline size_t fixture_log_count(const struct fixture *f, const char *what)
{
    char *text = fixture_log(f);
    size_t n = fixture_count(text, what);
    free(text);
    return n;
}

/** Print the log, then fail. */
#define FIXTURE_FAIL(f, ...)                                                                                 \
    do {                                                                                                     \
        char *fixture_text = fixture_log(f);                                                                 \
        (void)dup2((f)->saved_stderr, STDERR_FILENO);                                                        \
        print_error("%s", fixture_text);                                                                     \
        free(fixture_text);                                                                                  \
        fail_msg(__VA_ARGS__);                                                                               \
    } while (0)

static inline void fixture_write(const struct fixture *f, const char *name, const char *text, size_t len)
{
    char path[192];
    (void)snprintf(path, sizeof path, "%s/%s", f->dir, name);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, len, out), len);
    assert_int_equal(fclose(out), 0);
}

static inline struct policy_options fixture_options(struct fixture *f)
{
    return (struct policy_options){.source = {.file = f->file},
                                   .lua_dir = STEERWAY_SOURCE_DIR "/lua",
                                   .uplinks = &f->set,
                                   .share_s =
                                       INFINITY}; /* tests call without pauses, and call slow functions */
}

/** Write the file and load it. */
static inline int fixture_load(struct fixture *f, const char *text)
{
    struct policy_options o = fixture_options(f);
    fixture_write(f, "p.lua", text, strlen(text));
    policy_free(f->policy);
    f->policy = NULL;
    f->err[0] = '\0';
    return policy_new(&f->policy, &o, f->err);
}

/* A policy whose pick has this body; new's body comes before, in which upvalues may be declared. */
#define PICK(new_body, pick_body)                                                                            \
    "return { name = 'p', new = function(ctx)\n" new_body "\n"                                               \
    "return { pick = function(conn, uplinks)\n" pick_body "\n"                                               \
    "end } end }\n"

/** Load it; on failure show why. */
#define FIXTURE_LOAD(f, text)                                                                                \
    do {                                                                                                     \
        if (fixture_load(f, text) != 0)                                                                      \
            FIXTURE_FAIL(f, "%s", (f)->err);                                                                 \
    } while (0)

static inline struct policy_conn fixture_conn(uint64_t id)
{
    return (struct policy_conn){.id = id,
                                .host = "www.example.org",
                                .port = 443,
                                .proto = POLICY_SOCKS5,
                                .client = "192.0.2.7",
                                .listener = "127.0.0.1:1080",
                                .attempt = 1};
}

static inline struct policy_choice fixture_pick(struct fixture *f)
{
    struct policy_conn conn = fixture_conn(1);
    struct policy_choice choice;
    memset(&choice, 0xa5, sizeof choice); /* every field must be set */
    policy_pick(f->policy, &conn, f->set.items, f->set.n, &choice);
    return choice;
}

#endif
