#include "capture/capture_holder.h"

#include "base/buf.h"
#include "base/log.h"
#include "capture/capture_nft.h"
#include "capture/capture_plan.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const double PATIENCE_S = 10;
/* nft says nothing of a command that it has done. It quotes this one, which it does not know, after all
 * others. */
static const char LAST[] = "steerway_last\n";
/* Of what does not fit into the buffer, the beginning is kept, with the first error, and the end. nft quotes
 * the whole line of an error. */
enum { SAID_FIRST = 2048, SAID_LATEST = 256 };

static void change_over(struct capture_holder *h, const char *error)
{
    capture_holder_done_fn *done = h->done;

    ev_timer_stop(h->loop, &h->deadline);
    h->done = NULL;
    if (!h->late)
        h->len = 0;
    if (done)
        done(h->done_arg, error);
}

/* --- the child ------------------------------------------------------------------------------------------ */

/* A program with capabilities of its file passes none on, unless they are ambient. */
static void keep_right_to_administer(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    const unsigned bit = 1U << CAP_NET_ADMIN;

    if (syscall(SYS_capget, &head, data) < 0 || !(data[0].permitted & bit))
        return;
    data[0].inheritable |= bit;
    if (syscall(SYS_capset, &head, data) == 0)
        (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_ADMIN, 0, 0);
}

static void become_holder(void)
{
    static char name[] = "nft", interactive[] = "-i";
    char *const argv[] = {name, interactive, NULL};

    capture_nft_become(argv);
    (void)!write(STDERR_FILENO, "Error: the program nft is missing: install nftables\n", 52);
    _exit(127);
}

/* @return 0, or negative errno with one line in err */
static int replace_own(const char *script, char *err)
{
    struct capture_table t;
    int r = capture_table_read(&t, err);

    if (r < 0)
        return r;
    r = t.foreign == 0 && t.ours > 0 ? 0 : -EEXIST;
    if (t.foreign > 0)
        (void)snprintf(err, CAPTURE_ERROR_MAX,
                       "the table inet " CAPTURE_NFT_TABLE " has %.100s, which is not of capture", t.example);
    else if (t.ours == 0)
        (void)snprintf(err, CAPTURE_ERROR_MAX, "the table inet " CAPTURE_NFT_TABLE " of capture is gone");
    capture_table_done(&t);
    return r == 0 ? capture_nft_apply(script, err) : r;
}

/* It speaks as nft does. */
_Noreturn static void become_replacer(const char *script)
{
    char err[CAPTURE_ERROR_MAX];

    (void)alarm((unsigned)PATIENCE_S + 1);
    if (replace_own(script, err) < 0)
        (void)dprintf(STDOUT_FILENO, "Error: %s\n", err);
    (void)dprintf(STDOUT_FILENO, "of the last command:\n%s", LAST);
    _exit(0);
}

/* @param script  what replaces a table that nobody holds; NULL: become nft */
static void become_child(int in, int said, const char *script)
{
    static const int usual[] = {SIGPIPE, SIGCHLD, SIGTERM, SIGINT, SIGHUP};
    sigset_t none;

    (void)setsid(); /* a terminal's signals are for the proxy, which then lets go */
    for (size_t i = 0; i < ARRAY_LEN(usual); i++)
        (void)signal(usual[i], SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (geteuid() != 0)
        keep_right_to_administer();
    (void)dup2(in, STDIN_FILENO);
    (void)dup2(said, STDOUT_FILENO);
    (void)dup2(said, STDERR_FILENO);
    if (script)
        become_replacer(script);
    become_holder();
}

static void close_child(struct capture_holder *h)
{
    ev_io_stop(h->loop, &h->said);
    if (h->in_fd >= 0)
        (void)close(h->in_fd);
    (void)close(h->said_fd);
    if (!h->adopted)
        ev_child_stop(h->loop, &h->exited); /* the loop reaps it all the same */
    h->pid = 0;
    h->in_fd = -1;
    h->state = CAPTURE_IDLE;
    h->owns = h->late = h->adopted = false;
}

/* Once the child is reaped, its netlink socket is closed, and the table is gone. */
static void on_holder_exited(struct ev_loop *loop, ev_child *w, int events)
{
    struct capture_holder *h = container_of(w, struct capture_holder, exited);

    (void)events;
    ev_child_stop(loop, w);
    h->pid = 0;
    if (h->state != CAPTURE_RELEASING)
        return;
    close_child(h);
    change_over(h, NULL);
}

static void log_lost(const char *why)
{
    struct log_line l;

    log_begin(&l, EVENT_CAPTURE_LOST);
    log_str(&l, "why", why);
    log_end(&l);
}

/* --- what it says --------------------------------------------------------------------------------------- */

/* The first line of an error in the first n bytes. @return NULL for none */
static const char *first_error(struct capture_holder *h, size_t n, char out[CAPTURE_ERROR_MAX])
{
    static const char word[] = "Error: ";
    const char *at = n > 0 ? memmem(h->text, n, word, sizeof word - 1) : NULL;

    if (!at)
        return NULL;
    size_t len = n - (size_t)(at - h->text);
    const char *end = memchr(at, '\n', len);
    (void)snprintf(out, CAPTURE_ERROR_MAX, "nft: %.*s", (int)(end ? (size_t)(end - at) : len), at);
    return out;
}

/* The bytes that the child said before it came to the last command; SIZE_MAX: it has not. Its words on that
 * one are a line with the error, and the quote. */
static size_t before_last(const struct capture_holder *h)
{
    const char *quote = h->len > 0 ? memmem(h->text, h->len, LAST, sizeof LAST - 1) : NULL;

    if (!quote)
        return SIZE_MAX;
    if (quote > h->text)
        quote--; /* the end of the line before */
    const char *end = memrchr(h->text, '\n', (size_t)(quote - h->text));
    return end ? (size_t)(end - h->text) : 0;
}

static void take_verdict(struct capture_holder *h, size_t n)
{
    char text[CAPTURE_ERROR_MAX];
    const char *error = first_error(h, n, text);

    if (!error) {
        h->request = h->next;
        h->owns = !h->request.stops;
    }
    h->unsure = false;
    h->state = CAPTURE_HELD;
    if (!h->owns) /* the table stays by itself, or there is none */
        close_child(h);
    change_over(h, error);
}

static void on_end(struct capture_holder *h)
{
    enum capture_holder_state before = h->state;
    char text[CAPTURE_ERROR_MAX];
    const char *error = first_error(h, h->len, text);

    if (before == CAPTURE_RELEASING && !h->adopted) {
        ev_io_stop(h->loop, &h->said);
        return;
    }
    if (before == CAPTURE_RELEASING) { /* no news of its end but this one */
        close_child(h);
        return change_over(h, NULL);
    }
    close_child(h);
    if (before == CAPTURE_HELD)
        log_lost(error ? error : "the program nft has ended");
    h->unsure = !error;
    change_over(h, error ? error : "nft has ended");
}

static void make_room(struct capture_holder *h)
{
    if (h->len < sizeof h->text)
        return;
    memmove(h->text + SAID_FIRST, h->text + h->len - SAID_LATEST, SAID_LATEST);
    h->len = SAID_FIRST + SAID_LATEST;
}

static void on_said(struct ev_loop *loop, ev_io *w, int events)
{
    struct capture_holder *h = container_of(w, struct capture_holder, said);

    (void)loop;
    (void)events;
    make_room(h);
    ssize_t n = read(h->said_fd, h->text + h->len, sizeof h->text - h->len);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0)
        return on_end(h);
    h->len += (size_t)n;
    size_t before = before_last(h);
    if (before == SIZE_MAX)
        return;
    if (h->state == CAPTURE_INSTALLING)
        return take_verdict(h, before);
    bool late = h->late;
    h->late = false;
    h->len = 0;
    if (late && h->answered_late)
        h->answered_late(h);
}

/* A child that holds the table must live: the kernel would remove the table with it. */
static void on_patience_over(struct ev_loop *loop, ev_timer *w, int events)
{
    struct capture_holder *h = container_of(w, struct capture_holder, deadline);

    (void)loop;
    (void)events;
    h->unsure = true;
    if (h->state == CAPTURE_INSTALLING && h->owns) {
        h->late = true;
        h->state = CAPTURE_HELD;
        return change_over(h, "nft does not answer");
    }
    if (h->pid > 0)
        (void)kill(h->pid, SIGKILL);
    close_child(h);
    change_over(h, "nft does not answer");
}

/* --- changes -------------------------------------------------------------------------------------------- */

/* @param script  as for become_child */
static int start_child(struct capture_holder *h, const char *script)
{
    int in[2], said[2];

    if (pipe2(in, O_CLOEXEC) < 0)
        return -errno;
    if (pipe2(said, O_CLOEXEC) < 0) {
        int r = -errno;
        (void)close(in[0]);
        (void)close(in[1]);
        return r;
    }
    pid_t pid = fork();
    if (pid == 0)
        become_child(in[0], said[1], script);
    int r = pid < 0 ? -errno : 0;
    (void)close(in[0]);
    (void)close(said[1]);
    if (r < 0) {
        (void)close(in[1]);
        (void)close(said[0]);
        return r;
    }
    h->pid = pid;
    h->in_fd = in[1];
    h->said_fd = said[0];
    (void)fcntl(h->in_fd, F_SETFL, O_NONBLOCK);
    (void)fcntl(h->said_fd, F_SETFL, O_NONBLOCK);
    ev_io_init(&h->said, on_said, h->said_fd, EV_READ);
    ev_io_start(h->loop, &h->said);
    ev_child_init(&h->exited, on_holder_exited, pid, 0);
    ev_set_priority(&h->exited, EV_MAXPRI); /* first, so that a reused process number is not killed */
    ev_child_start(h->loop, &h->exited);
    return 0;
}

void capture_holder_take_over(struct capture_holder *h, const struct capture_request *request, int in_fd,
                              int said_fd, pid_t pid)
{
    h->request = *request;
    h->state = CAPTURE_HELD;
    h->owns = h->adopted = true;
    h->pid = pid;
    h->in_fd = in_fd;
    h->said_fd = said_fd;
    ev_io_init(&h->said, on_said, h->said_fd, EV_READ);
    ev_io_start(h->loop, &h->said);
}

/* nft takes a line as one change: all of it is applied, or nothing. */
static int write_change(struct capture_holder *h, const char *first, const struct buf *script)
{
    struct buf line;

    buf_init(&line, 2 * CAPTURE_SCRIPT_MAX); /* a pipe holds 64 KiB */
    int r = buf_append(&line, first, strlen(first));
    const struct slice text = buf_slice(script);
    for (size_t i = 0; r == 0 && i < text.len; i++)
        r = buf_append(&line, text.data[i] == '\n' ? ";" : &text.data[i], 1);
    if (r == 0)
        r = buf_printf(&line, "\n%s", LAST);
    const struct slice all = buf_slice(&line);
    ssize_t n = r == 0 ? write(h->in_fd, all.data, all.len) : 0;
    /* A child that has ended already, as where nft is missing, has said why: on_end reads that. */
    if (r == 0 && n != (ssize_t)all.len && !(n < 0 && errno == EPIPE))
        r = -EIO;
    buf_done(&line);
    return r;
}

static void await_change(struct capture_holder *h, capture_holder_done_fn *done, void *arg)
{
    h->done = done;
    h->done_arg = arg;
    h->len = 0;
    ev_timer_init(&h->deadline, on_patience_over, PATIENCE_S, 0.);
    ev_timer_start(h->loop, &h->deadline);
}

static int begin_change(struct capture_holder *h, const struct capture_request *request, const char *first,
                        const struct buf *script)
{
    bool fresh = h->state == CAPTURE_IDLE;
    int r = fresh ? start_child(h, NULL) : 0;

    if (r == 0)
        r = write_change(h, first, script);
    if (r < 0 && fresh && h->pid > 0)
        close_child(h);
    if (r < 0)
        return r;
    h->next = *request;
    h->state = CAPTURE_INSTALLING;
    return 0;
}

static bool is_busy(const struct capture_holder *h)
{
    return h->state == CAPTURE_INSTALLING || h->state == CAPTURE_RELEASING || h->late;
}

int capture_holder_install(struct capture_holder *h, const struct capture_request *request,
                           const struct buf *script, capture_holder_done_fn *done, void *arg)
{
    static const char
        replace[] = "delete table inet " CAPTURE_NFT_TABLE "; ",
        /* There must be a table to delete. `add` of one that is owned fails, even for its owner. */
        make[] = "add table inet " CAPTURE_NFT_TABLE "; delete table inet " CAPTURE_NFT_TABLE "; ";
    int r = is_busy(h) ? -EBUSY : begin_change(h, request, h->owns ? replace : make, script);

    if (r == 0)
        await_change(h, done, arg);
    return r;
}

/* In a child, which waits for nft. */
static int begin_replacing(struct capture_holder *h, const struct capture_request *request,
                           const struct buf *script)
{
    const struct slice text = buf_slice(script);
    char *all = NULL;

    if (asprintf(&all, "delete table inet " CAPTURE_NFT_TABLE "\n%.*s", (int)text.len, text.data) < 0)
        return -ENOMEM;
    int r = start_child(h, all);
    free(all);
    if (r < 0)
        return r;
    h->next = *request;
    h->state = CAPTURE_INSTALLING;
    return 0;
}

int capture_holder_replace(struct capture_holder *h, const struct capture_request *request,
                           const struct buf *script, capture_holder_done_fn *done, void *arg)
{
    if (h->owns) /* then others can have put nothing there */
        return capture_holder_install(h, request, script, done, arg);
    int r = h->state != CAPTURE_IDLE ? -EBUSY : begin_replacing(h, request, script);
    if (r == 0)
        await_change(h, done, arg);
    return r;
}

int capture_holder_update(struct capture_holder *h, const struct capture_request *request,
                          const struct buf *script, capture_holder_done_fn *done, void *arg)
{
    int r = is_busy(h) ? -EBUSY : begin_change(h, request, "", script);

    if (r == 0)
        await_change(h, done, arg);
    return r;
}

int capture_holder_release(struct capture_holder *h, capture_holder_done_fn *done, void *arg)
{
    if (h->state == CAPTURE_INSTALLING || h->state == CAPTURE_RELEASING)
        return -EBUSY;
    if (h->state == CAPTURE_IDLE) {
        done(arg, NULL);
        return 0;
    }
    (void)close(h->in_fd);
    h->in_fd = -1;
    h->state = CAPTURE_RELEASING;
    await_change(h, done, arg);
    return 0;
}

void capture_holder_close(struct capture_holder *h)
{
    if (h->state == CAPTURE_IDLE)
        return;
    ev_timer_stop(h->loop, &h->deadline);
    h->done = NULL;
    close_child(h);
}
