#include "capture/capture_nft.h"

#include "base/buf.h"
#include "capture/capture_plan.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_MAX = 4 * 1024 * 1024, CHUNK = 4096, EXIT_NO_PROGRAM = 127, CAPTURE_NAME_MAX = 64 };

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
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* else a change that was given up may come after a later one */
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

/* The text of `nft -a list table`. (Its JSON is broken for a table with `flags owner` in nft 1.0.6.) Objects
 * of the table are indented by one tab, and what is in them by two. */

static const char *const CHAINS[] = {"output", "prerouting", "choose", "take", "lan", "divert"};
static const char *const SETS[] = {"near4", "near6"};

struct listing {
    struct capture_table *table;
    struct buf rules, others;                              /* the removal of our rules; the lines of others */
    char object[CAPTURE_NAME_MAX], name[CAPTURE_NAME_MAX]; /* where the line stands: "chain", "output" */
    bool theirs;                                           /* that object is of others */
    bool elements;                                         /* the line is among the elements of a set */
    unsigned chains, sets;                                 /* those of CHAINS and SETS that are there */
};

/* @param there  gets the bit of the name's place */
static bool is_one_of(const char *name, const char *const names[], size_t n, unsigned *there)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], name) != 0)
            continue;
        *there |= 1U << i;
        return true;
    }
    return false;
}

static bool is_our_object(struct listing *l, const char *object, const char *name)
{
    if (strcmp(object, "chain") == 0)
        return is_one_of(name, CHAINS, ARRAY_LEN(CHAINS), &l->chains);
    return strcmp(object, "set") == 0 && is_one_of(name, SETS, ARRAY_LEN(SETS), &l->sets);
}

static void note_foreign(struct capture_table *t, const char *what, const char *name)
{
    t->foreign++;
    if (!t->example[0])
        (void)snprintf(t->example, sizeof t->example, "%s %s", what, name);
}

/* "chain output { # handle 3" */
static void enter_object(struct listing *l, const char *line)
{
    l->object[0] = l->name[0] = '\0';
    if (sscanf(line, "%63s %63s", l->object, l->name) != 2 || !strchr(line, '{'))
        return; /* "flags owner", "}" */
    l->theirs = !is_our_object(l, l->object, l->name);
    if (l->theirs)
        note_foreign(l->table, l->object, l->name);
}

static bool is_of_chain(const char *line)
{
    return strncmp(line, "type ", 5) == 0 || strncmp(line, "comment ", 8) == 0;
}

/* "… tproxy ip to 127.0.0.1:1081 meta mark set …" */
static void note_destination(struct capture_table *t, const char *line)
{
    static const char *const words[] = {" tproxy ip to ", " tproxy ip6 to "};

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        const char *at = strstr(line, words[i]);
        struct addr to;
        if (!at)
            continue;
        at += strlen(words[i]);
        if (addr_parse(&to, slice_of(at, strcspn(at, " "))) == 0)
            *(i ? &t->to6 : &t->to4) = to;
    }
}

/* A rule is ours by its comment, in chains of ours and of others. */
static int take_rule(struct listing *l, const char *line)
{
    static const char ours[] = " comment \"" CAPTURE_COMMENT "\"", handle[] = " # handle ";
    const char *at = strstr(line, ours), *number = at ? strstr(at, handle) : NULL;

    if (number) {
        l->table->ours++;
        note_destination(l->table, line);
        return buf_printf(&l->rules, "delete rule inet " CAPTURE_NFT_TABLE " %s handle %lu\n", l->name,
                          strtoul(number + sizeof handle - 1, NULL, 10));
    }
    if (!l->theirs) /* their chain counts already */
        note_foreign(l->table, "a rule in chain", l->name);
    /* It keeps its chain, as if it jumped there. */
    return buf_printf(&l->others, "%s goto %s \n", line, l->name);
}

/* "elements = { 0.0.0.0/8, 10.0.0.0/23,", and lines that follow, up to a brace. What is not understood is
 * left out. */
static int take_elements(struct listing *l, const char *line)
{
    static const char head[] = "elements = {";
    bool first = strncmp(line, head, sizeof head - 1) == 0;

    if (!first && !l->elements)
        return 0;
    line += first ? sizeof head - 1 : 0;
    size_t len = strcspn(line, "}");
    l->elements = !line[len];
    int r = capture_ranges_add_text(&l->table->near, slice_of(line, len));
    return r == -ENOMEM ? r : 0;
}

static int take_line(struct listing *l, const char *line)
{
    size_t tabs = strspn(line, "\t");

    line += tabs;
    if (tabs == 0 && strncmp(line, "table ", 6) == 0)
        l->table->exists = true;
    if (tabs == 1)
        enter_object(l, line);
    if (tabs < 2)
        return 0;
    if (tabs == 2 && strcmp(l->object, "chain") == 0 && !is_of_chain(line))
        return take_rule(l, line);
    if (strcmp(l->object, "set") == 0 && !l->theirs)
        return take_elements(l, line);
    return l->theirs ? buf_printf(&l->others, "%s \n", line) : 0;
}

/* Whether a line of others names it: then it cannot be deleted. */
static bool is_used(const struct listing *l, const char *prefix, const char *name)
{
    const struct slice text = buf_slice(&l->others);
    char word[2 * CAPTURE_NAME_MAX];
    static const char *const ends[] = {" ", ",", "}"};

    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        (void)snprintf(word, sizeof word, "%s%s%s", prefix, name, ends[i]);
        if (memmem(text.data, text.len, word, strlen(word)))
            return true;
    }
    return false;
}

/* Rules go first, as they name chains and sets. */
static int write_removal(struct listing *l, struct buf *b)
{
    static const char head[] = "inet " CAPTURE_NFT_TABLE;
    const struct slice rules = buf_slice(&l->rules);

    if (l->table->foreign == 0)
        return buf_printf(b, "delete table %s\n", head);
    int r = buf_append(b, rules.data, rules.len);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(CHAINS); i++)
        if (l->chains & 1U << i && !is_used(l, "goto ", CHAINS[i]) && !is_used(l, "jump ", CHAINS[i]))
            r = buf_printf(b, "delete chain %s %s\n", head, CHAINS[i]);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(SETS); i++)
        if (l->sets & 1U << i && !is_used(l, "@", SETS[i]))
            r = buf_printf(b, "delete set %s %s\n", head, SETS[i]);
    return r;
}

static int finish_listing(struct listing *l)
{
    struct capture_table *t = l->table;
    struct buf removal;

    buf_init(&removal, ANSWER_MAX);
    int r = t->ours > 0 ? write_removal(l, &removal) : 0;
    if (r == 0 && removal.len > 0) {
        t->removal = strndup(buf_slice(&removal).data, removal.len);
        r = t->removal ? 0 : -ENOMEM;
    }
    buf_done(&removal);
    return r;
}

int capture_table_parse(const char *text, struct capture_table *ret)
{
    struct capture_table t = {.exists = false};
    struct listing l = {.table = &t};
    char *copy = strdup(text), *rest;
    int r = copy ? 0 : -ENOMEM;

    buf_init(&l.rules, ANSWER_MAX);
    buf_init(&l.others, ANSWER_MAX);
    for (char *line = copy ? strtok_r(copy, "\n", &rest) : NULL; r == 0 && line;
         line = strtok_r(NULL, "\n", &rest))
        r = take_line(&l, line);
    if (r == 0)
        r = finish_listing(&l);
    capture_ranges_join(&t.near);
    buf_done(&l.rules);
    buf_done(&l.others);
    free(copy);
    if (r == 0)
        *ret = t;
    else
        capture_table_done(&t);
    return r;
}

int capture_table_read(struct capture_table *ret, char *err)
{
    static char name[] = "nft", handles[] = "-a", list[] = "list", table[] = "table", inet[] = "inet",
                steerway[] = CAPTURE_NFT_TABLE;
    static const char none[] = "No such file or directory";
    char *const argv[] = {name, handles, list, table, inet, steerway, NULL};
    struct buf said;

    *ret = (struct capture_table){.exists = false};
    buf_init(&said, ANSWER_MAX);
    int r = run_nft(argv, "", &said);
    if (r == 0)
        r = buf_append(&said, "", 1);
    const struct slice text = buf_slice(&said);
    if (r == 0)
        r = capture_table_parse(text.data, ret);
    else if (r > 0)
        r = memmem(text.data, text.len, none, sizeof none - 1) ? 0 : refuse_by_nft(&said, r, err);
    if (r < 0 && r != -EPROTO && r != -ENOENT)
        (void)snprintf(err, CAPTURE_ERROR_MAX, "nft: %s", strerror(-r));
    buf_done(&said);
    return r;
}

void capture_table_done(struct capture_table *t)
{
    capture_ranges_done(&t->near);
    free(t->removal);
    *t = (struct capture_table){.exists = false};
}
