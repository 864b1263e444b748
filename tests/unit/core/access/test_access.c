/* Clients and users that may use the proxy: ranges, passwords, users files. */
#include "access/access.h"

#include "access/hashes.h"
#include "support/copy.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int add(struct access *a, const char *text, size_t len)
{
    char *copy = heap_copy(text, len);
    int r = access_add_user(a, slice_of(copy, len));
    free(copy);
    return r;
}

static bool check(const struct access *a, const char *user, const char *pass)
{
    char *u = heap_copy(user, strlen(user)), *p = heap_copy(pass, strlen(pass));
    bool good = access_check_user(a, slice_of(u, strlen(user)), slice_of(p, strlen(pass)));
    free(u);
    free(p);
    return good;
}

static void users_are_added(void **state)
{
    struct access a = {.n_users = 0};
    char longest[512];

    (void)state;
    assert_false(access_needs_user(&a));
    assert_int_equal(add(&a, "alice:secret", 12), 0);
    assert_true(access_needs_user(&a));
    assert_int_equal(add(&a, "bob:with:colons", 15), 0);
    assert_int_equal(add(&a, "nopass:", 7), 0);
    assert_int_equal(add(&a, "alice:other", 11), -EEXIST);
    assert_int_equal(add(&a, "", 0), -EINVAL);
    assert_int_equal(add(&a, "nocolon", 7), -EINVAL);
    assert_int_equal(add(&a, ":nouser", 7), -EINVAL);
    assert_int_equal(add(&a, "nul\0:x", 6), -EINVAL);
    assert_int_equal(add(&a, "nul:x\0y", 7), -EINVAL);
    memset(longest, 'x', sizeof longest);
    longest[255] = ':';
    assert_int_equal(add(&a, longest, 511), 0);
    assert_int_equal(add(&a, longest, 512), -EINVAL); /* the password is one byte too long */
    longest[255] = 'x';
    longest[256] = ':';
    assert_int_equal(add(&a, longest, 300), -EINVAL); /* the name is one byte too long */
    assert_int_equal(a.n_users, 4);
    access_done(&a);
    assert_int_equal(a.n_users, 0);
}

static void only_the_right_password_is_accepted(void **state)
{
    struct access a = {.n_users = 0};
    char longest[512], name[256] = "", pass[257] = "";

    (void)state;
    assert_false(check(&a, "", ""));
    assert_int_equal(add(&a, "alice:secret", 12), 0);
    assert_int_equal(add(&a, "bob:with:colons", 15), 0);
    assert_int_equal(add(&a, "nopass:", 7), 0);
    assert_true(check(&a, "alice", "secret"));
    assert_true(check(&a, "bob", "with:colons"));
    assert_true(check(&a, "nopass", ""));
    assert_false(check(&a, "alice", "with:colons")); /* another user's password */
    assert_false(check(&a, "alice", "secreT"));
    assert_false(check(&a, "alice", "Secret"));
    assert_false(check(&a, "Alice", "secret"));
    assert_false(check(&a, "alice", "secre"));
    assert_false(check(&a, "alice", "secrett"));
    assert_false(check(&a, "alice", ""));
    assert_false(check(&a, "alic", "secret"));
    assert_false(check(&a, "", "secret"));
    assert_false(check(&a, "", ""));
    assert_false(check(&a, "nopass", "x"));
    assert_false(access_check_user(&a, slice_of("alice\0", 6), slice_str("secret")));
    assert_false(access_check_user(&a, slice_str("alice"), slice_of("secret\0", 7)));

    memset(longest, 'x', sizeof longest);
    longest[255] = ':';
    assert_int_equal(add(&a, longest, 511), 0);
    memset(name, 'x', 255);
    memset(pass, 'x', 255);
    assert_true(check(&a, name, pass));
    pass[254] = 'y'; /* the very last byte counts, too */
    assert_false(check(&a, name, pass));
    pass[254] = 'x';
    pass[255] = 'x'; /* longer than every password */
    assert_false(check(&a, name, pass));
    access_done(&a);
}

/* --- many users ----------------------------------------------------------------------------------------- */

static void add_many(struct access *a, int n)
{
    char line[64];

    for (int i = 0; i < n; i++) {
        int len = snprintf(line, sizeof line, "user%d:pass%d", i, i);
        assert_int_equal(access_add_user(a, slice_of(line, (size_t)len)), 0);
    }
}

/* CPU seconds of many wrong passwords, for a user that exists and for one that does not. */
static double cost_of_guesses(const struct access *a)
{
    clock_t begun = clock();

    for (int i = 0; i < 2000; i++) {
        assert_false(access_check_user(a, slice_str("user7"), slice_str("pass8")));
        assert_false(access_check_user(a, slice_str("nobody"), slice_str("pass8")));
    }
    return (double)(clock() - begun) / CLOCKS_PER_SEC;
}

/* A wrong guess costs the same however many users there are; otherwise guesses could block the main loop. */
static void many_users_are_found_as_fast_as_few(void **state)
{
    struct access few = {.n_users = 0}, many = {.n_users = 0};
    char name[64], pass[64];

    (void)state;
    add_many(&few, 10);
    add_many(&many, 30000);
    for (int i = 0; i < 30000; i += 777) {
        (void)snprintf(name, sizeof name, "user%d", i);
        (void)snprintf(pass, sizeof pass, "pass%d", i);
        assert_true(check(&many, name, pass));
        assert_false(check(&many, name, "pass"));
        assert_true(access_has_user(&many, slice_str(name)));
    }
    assert_false(access_has_user(&many, slice_str("user30000")));
    assert_int_equal(access_add_user(&many, slice_str("user29999:other")), -EEXIST);
    assert_true(cost_of_guesses(&many) <
                20 * cost_of_guesses(&few) + 0.02); /* a linear scan would take 3,000 times as long */
    assert_true(few.key.k0 != many.key.k0 || few.key.k1 != many.key.k1);
    access_clear_users(&many);
    assert_false(access_needs_user(&many));
    assert_false(check(&many, "user7", "pass7"));
    access_done(&few);
    access_done(&many);
}

/* --- files ---------------------------------------------------------------------------------------------- */

static int add_file(struct access *a, const char *text, char err[256])
{
    char path[] = "/tmp/steerway-users-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
    int r = access_add_file(a, path, err, 256);
    assert_int_equal(unlink(path), 0);
    return r;
}

static void a_file_holds_one_user_a_line(void **state)
{
    struct access a = {.n_users = 0};
    char err[256];

    (void)state;
    assert_int_equal(
        add_file(&a, "# family\n\nalice:secret\r\n  \nbob: pass with blanks \n#x:y\ncarol:c", err), 0);
    assert_int_equal(a.n_users, 3);
    assert_true(check(&a, "alice", "secret"));
    assert_true(check(&a, "bob", " pass with blanks "));
    assert_true(check(&a, "carol", "c")); /* the last line needs no newline */
    access_done(&a);
}

#define HASH "$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2" /* of "secret" */
#define OTHER_HASH "$5$rounds=1000$saltsals$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2"

static void hashed_passwords_are_checked_elsewhere(void **state)
{
    static const struct {
        const char *user, *hash;
        bool counts;
    } rows[] = {
        {"ada", HASH, true}, {"bob", HASH, false}, {"nobody", HASH, false}, {"cat", OTHER_HASH, true}};
    struct access a = {.n_users = 0};
    char err[256];
    bool counts;

    (void)state;
    if (!hashes_are_there())
        skip();
    assert_int_equal(access_add_user(&a, slice_str("plain:" HASH)), 0);
    assert_null(access_hash_for(&a, slice_str("plain"), &counts));
    assert_true(check(&a, "plain", HASH)); /* of --auth */
    assert_int_equal(add_file(&a, "bob:secret\nada:" HASH "\ncat:" OTHER_HASH "\n", err), 0);
    assert_false(check(&a, "ada", HASH) || check(&a, "ada", "secret"));
    assert_true(check(&a, "bob", "secret"));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_string_equal(access_hash_for(&a, slice_str(rows[i].user), &counts), rows[i].hash);
        assert_int_equal(counts, rows[i].counts);
    }
    assert_int_equal(add_file(&a, "eve:$6$:$$SECRET\n", err), -ENOTSUP);
    assert_non_null(strstr(err, ":1: the hash of this password is of an unknown kind, or damaged"));
    assert_null(strstr(err, "SECRET"));
    access_done(&a);
}

static void files_that_others_can_read_are_noted(void **state)
{
    static const struct {
        const char *text;
        mode_t mode;
        bool noted;
    } rows[] = {
        {"ada:" HASH "\n", 0600, false},
        {"ada:" HASH "\n", 0640, false},
        {"ada:" HASH "\n", 0644, true},
        {"ada:" HASH "\nbob:secret\n", 0600, false},
        {"ada:" HASH "\nbob:secret\n", 0640, true},
        {"bob:secret\n", 0604, true},
        {"bob:secret\n", 0620, true},
        {"bob:secret\n", 0400, false},
    };
    char err[256], path[] = "/tmp/steerway-users-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    if (!hashes_are_there())
        skip();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct access a = {.n_users = 0};
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, rows[i].text, strlen(rows[i].text), 0), strlen(rows[i].text));
        assert_int_equal(fchmod(fd, rows[i].mode), 0);
        assert_int_equal(access_add_file(&a, path, err, sizeof err), 0);
        assert_int_equal(a.readable != NULL, rows[i].noted);
        if (a.readable)
            assert_string_equal(a.readable, path);
        access_clear_users(&a);
        assert_null(a.readable);
        access_done(&a);
    }
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
}

static void an_error_names_file_and_line(void **state)
{
    static const struct {
        const char *text, *line;
        int code;
    } bad[] = {
        {"a:b\nSECRET\n", ":2: expected USER:PASS", -EINVAL},
        {"\n#\n:SECRET\n", ":3: expected USER:PASS", -EINVAL},
        {"a:b\na:SECRET\n", ":2: this user was given before", -EEXIST},
    };
    char err[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct access a = {.n_users = 0};
        assert_int_equal(add_file(&a, bad[i].text, err), bad[i].code);
        assert_non_null(strstr(err, bad[i].line));
        assert_non_null(strstr(err, "/tmp/steerway-users-"));
        assert_null(strstr(err, "SECRET"));
        access_done(&a);
    }
    struct access a = {.n_users = 0};
    assert_int_equal(access_add_file(&a, "/nonexistent/users", err, sizeof err), -ENOENT);
    assert_string_equal(err, "/nonexistent/users: No such file or directory");
    assert_true(access_add_file(&a, "/tmp", err, sizeof err) < 0);
    assert_string_equal(err, "/tmp: expected a regular file");
    assert_int_equal(access_add_file(&a, "/dev/zero", err, sizeof err), -EINVAL);
    assert_string_equal(err, "/dev/zero: expected a regular file");
    assert_int_equal(a.n_users, 0);

    /* A comment of the maximum size, and one byte more. */
    char *text = malloc((1 << 20) + 2);
    assert_non_null(text);
    memset(text, '#', (1 << 20) + 1);
    text[1 << 20] = '\0';
    assert_int_equal(add_file(&a, text, err), 0);
    text[1 << 20] = '#';
    text[(1 << 20) + 1] = '\0';
    assert_int_equal(add_file(&a, text, err), -EINVAL);
    assert_non_null(strstr(err, ": is larger than 1 MiB"));
    free(text);
    access_done(&a);
}

/* --- ranges --------------------------------------------------------------------------------------------- */

static bool allowed(const struct access *a, const char *text)
{
    struct addr addr;
    assert_int_equal(addr_parse_ip(&addr, slice_str(text), 4711), 0);
    return access_client_allowed(a, &addr);
}

static void private_clients_only(void **state)
{
    static const char *const in[] = {
        "127.0.0.1",  "127.255.255.255", "::1",         "10.0.0.1",        "10.255.255.255",
        "172.16.0.1", "172.31.9.9",      "192.168.0.1", "192.168.255.255", "fd00::1",
        "fc00::1",    "fdff:ffff::1",    "169.254.3.4", "fe80::1",         "::ffff:10.1.2.3",
    };
    static const char *const out[] = {
        "8.8.8.8",     "11.0.0.1",    "9.255.255.255", "172.15.255.255", "172.32.0.1", "192.167.1.1",
        "192.169.0.1", "169.253.0.1", "100.64.0.1",    "2001:db8::1",    "fe00::1",    "fec0::1",
        "::2",         "126.0.0.1",   "128.0.0.1",     "fbff::1",
    };
    struct access a = {.n_users = 0};

    (void)state;
    assert_false(allowed(&a, "127.0.0.1")); /* no range was configured */
    assert_int_equal(access_allow_private(&a), 0);
    for (size_t i = 0; i < ARRAY_LEN(in); i++) {
        if (!allowed(&a, in[i]))
            fail_msg("%s is private", in[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(out); i++) {
        if (allowed(&a, out[i]))
            fail_msg("%s is not private", out[i]);
    }
    access_done(&a);
    assert_false(allowed(&a, "127.0.0.1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_are_added),
        cmocka_unit_test(only_the_right_password_is_accepted),
        cmocka_unit_test(files_that_others_can_read_are_noted),
        cmocka_unit_test(hashed_passwords_are_checked_elsewhere),
        cmocka_unit_test(many_users_are_found_as_fast_as_few),
        cmocka_unit_test(a_file_holds_one_user_a_line),
        cmocka_unit_test(an_error_names_file_and_line),
        cmocka_unit_test(private_clients_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
