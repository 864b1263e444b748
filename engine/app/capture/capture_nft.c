#include "capture/capture_nft.h"

#include "base/buf.h"
#include "capture/capture_plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_MAX = 4 * 1024 * 1024, CHUNK = 4096, EXIT_NO_PROGRAM = 127 };

/* --- the program ---------------------------------------------------------------------------------------- */

void capture_nft_become(char *const argv[])
{
    static const char *const places[] = {"/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft", "/usr/bin/nft"};
    /* Without a home, an interactive nft keeps no history. */
    static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", home[] = "HOME=/dev/null",
                language[] = "LC_ALL=C";
    static char *const environment[] = {path, home, language, NULL};

    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        (void)execve(places[i], argv, environment);
}

/* A file that is gone once it is closed: it holds any amount, unlike a pipe. */
static int scratch_file(const char *text)
{
    char name[] = "/tmp/steerway-XXXXXX";
    int fd = mkostemp(name, O_CLOEXEC);

    if (fd < 0)
        return -errno;
    (void)unlink(name);
    size_t len = strlen(text);
    if (write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) < 0) {
        (void)close(fd);
        return -EIO;
    }
    return fd;
}

static void become_child(char *const argv[], int in, int out)
{
    (void)dup2(in, STDIN_FILENO);
    (void)dup2(out, STDOUT_FILENO);
    (void)dup2(out, STDERR_FILENO);
    capture_nft_become(argv);
    _exit(EXIT_NO_PROGRAM);
}

static int read_all(int fd, struct buf *ret)
{
    for (;;) {
        char *space;
        int r = buf_reserve(ret, CHUNK, &space);
        if (r < 0)
            return r;
        ssize_t n = read(fd, space, CHUNK);
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
        buf_commit(ret, n > 0 ? (size_t)n : 0);
    }
}

/* @return the exit code, or negative errno */
static int run_nft(char *const argv[], const char *input, struct buf *ret_output)
{
    int in = scratch_file(input), ends[2], status = 0;

    if (in < 0)
        return in;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        (void)close(in);
        return -errno;
    }
    pid_t pid = fork();
    if (pid == 0)
        become_child(argv, in, ends[1]);
    int r = pid < 0 ? -errno : 0;
    (void)close(in);
    (void)close(ends[1]);
    if (r == 0)
        r = read_all(ends[0], ret_output);
    (void)close(ends[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (r < 0)
        return r;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

/* The first line of what nft says. */
static int refuse_by_nft(const struct buf *said, int code, char *err)
{
    const struct slice text = buf_slice(said);
    const char *end = memchr(text.data, '\n', text.len);
    int len = (int)(end ? (size_t)(end - text.data) : text.len);

    if (code == EXIT_NO_PROGRAM) {
        (void)snprintf(err, CAPTURE_ERROR_MAX, "the program nft is missing: install nftables");
        return -ENOENT;
    }
    (void)snprintf(err, CAPTURE_ERROR_MAX, "nft: %.*s", len < 300 ? len : 300, text.data);
    return -EPROTO;
}

int capture_nft_apply(const char *script, char *err)
{
    static char name[] = "nft", file[] = "-f", input[] = "-";
    char *const argv[] = {name, file, input, NULL};
    struct buf said;

    buf_init(&said, ANSWER_MAX);
    int r = run_nft(argv, script, &said);
    if (r < 0)
        (void)snprintf(err, CAPTURE_ERROR_MAX, "nft: %s", strerror(-r));
    else if (r > 0)
        r = refuse_by_nft(&said, r, err);
    buf_done(&said);
    return r;
}

/* --- what is there -------------------------------------------------------------------------------------- */

static const char *name_in(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static bool is_one_of(const char *name, const char *const names[])
{
    for (; *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

static bool is_our_chain(const char *name)
{
    static const char *const names[] = {"output", "prerouting", "choose", "take", "lan", "divert", NULL};
    return is_one_of(name, names);
}

static bool is_our_set(const char *name)
{
    static const char *const names[] = {"near4", "near6", NULL};
    return is_one_of(name, names);
}

static bool is_our_rule(const json_t *rule)
{
    return strcmp(name_in(rule, "comment"), CAPTURE_COMMENT) == 0;
}

/* Whether a text is one of the strings anywhere in the JSON. */
static bool mentions(const json_t *o, const char *text)
{
    char *dump = json_dumps(o, JSON_COMPACT), quoted[64];

    (void)snprintf(quoted, sizeof quoted, "\"%s\"", text);
    bool found = !dump || strstr(dump, quoted);
    free(dump);
    return found;
}

/* Whether a rule of others stands in a chain, or names a chain or set, which keeps it.
 * @param name  "NAME" of a chain, "@NAME" of a set */
static bool is_shared(const json_t *items, const char *name)
{
    const json_t *item;
    size_t i;

    json_array_foreach(items, i, item)
    {
        const json_t *rule = json_object_get(item, "rule");
        if (rule && !is_our_rule(rule) && mentions(rule, name))
            return true;
    }
    return false;
}

static void note_foreign(struct capture_table *t, const char *what, const char *name)
{
    t->foreign++;
    if (!t->example[0])
        (void)snprintf(t->example, sizeof t->example, "%s %.60s", what, name);
}

static void look_at_item(struct capture_table *t, const json_t *item)
{
    const json_t *rule = json_object_get(item, "rule"), *chain = json_object_get(item, "chain"),
                 *set = json_object_get(item, "set");

    if (json_object_get(item, "metainfo"))
        return;
    if (json_object_get(item, "table"))
        t->exists = true;
    else if (rule && is_our_rule(rule))
        t->ours++;
    else if (rule)
        note_foreign(t, "a rule in chain", name_in(rule, "chain"));
    else if (chain && !is_our_chain(name_in(chain, "name")))
        note_foreign(t, "chain", name_in(chain, "name"));
    else if (set && !is_our_set(name_in(set, "name")))
        note_foreign(t, "set", name_in(set, "name"));
    else if (!chain && !set)
        note_foreign(t, "an object",
                     name_in(json_object_iter_value(json_object_iter((json_t *)(uintptr_t)item)), "name"));
}

/* Rules go first, as they name chains and sets. */
static int write_removal(const json_t *items, const struct capture_table *t, struct buf *b)
{
    static const char head[] = "inet " CAPTURE_NFT_TABLE;
    const json_t *item;
    size_t i;
    int r = 0;

    if (t->foreign == 0)
        return buf_printf(b, "delete table %s\n", head);
    json_array_foreach(items, i, item)
    {
        const json_t *rule = json_object_get(item, "rule");
        if (r == 0 && rule && is_our_rule(rule))
            r = buf_printf(b, "delete rule %s %s handle %" JSON_INTEGER_FORMAT "\n", head,
                           name_in(rule, "chain"), json_integer_value(json_object_get(rule, "handle")));
    }
    json_array_foreach(items, i, item)
    {
        const char *name = name_in(json_object_get(item, "chain"), "name");
        if (r == 0 && is_our_chain(name) && !is_shared(items, name))
            r = buf_printf(b, "delete chain %s %s\n", head, name);
    }
    if (r == 0 && !is_shared(items, "@near4"))
        r = buf_printf(b, "delete set %s near4\n", head);
    if (r == 0 && !is_shared(items, "@near6"))
        r = buf_printf(b, "delete set %s near6\n", head);
    return r;
}

int capture_table_parse(const json_t *listing, struct capture_table *ret)
{
    const json_t *items = json_object_get(listing, "nftables"), *item;
    struct capture_table t = {.exists = false};
    struct buf removal;
    size_t i;

    if (!json_is_array(items))
        return -EPROTO;
    json_array_foreach(items, i, item)
    {
        look_at_item(&t, item);
    }
    buf_init(&removal, ANSWER_MAX);
    int r = t.ours > 0 ? write_removal(items, &t, &removal) : 0;
    if (r == 0 && removal.len > 0) {
        t.removal = strndup(buf_slice(&removal).data, removal.len);
        r = t.removal ? 0 : -ENOMEM;
    }
    buf_done(&removal);
    if (r == 0)
        *ret = t;
    return r;
}

int capture_table_read(struct capture_table *ret, char *err)
{
    static char name[] = "nft", json[] = "-j", list[] = "list", table[] = "table", inet[] = "inet",
                steerway[] = CAPTURE_NFT_TABLE;
    char *const argv[] = {name, json, list, table, inet, steerway, NULL};
    struct buf said;

    *ret = (struct capture_table){.exists = false};
    buf_init(&said, ANSWER_MAX);
    int r = run_nft(argv, "", &said);
    const struct slice text = buf_slice(&said);
    if (r == 0) {
        json_t *listing = json_loadb(text.data, text.len, 0, NULL);
        r = capture_table_parse(listing, ret);
        json_decref(listing);
        if (r < 0)
            (void)snprintf(err, CAPTURE_ERROR_MAX, "nft -j list table: the answer is not as expected");
    } else if (r < 0) {
        (void)snprintf(err, CAPTURE_ERROR_MAX, "nft: %s", strerror(-r));
    } else if (memmem(text.data, text.len, "No such file or directory",
                      strlen("No such file or directory"))) {
        r = 0;
    } else {
        r = refuse_by_nft(&said, r, err);
    }
    buf_done(&said);
    return r;
}

void capture_table_done(struct capture_table *t)
{
    free(t->removal);
    *t = (struct capture_table){.exists = false};
}
