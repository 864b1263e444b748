#include "takeover/successor.h"

#include "base/compiler.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* A start with lists of millions of names takes half a minute on a small machine. Whoever asks waits longer
 * (ask/ask.c). */
static const double PATIENCE_S = 45;
/* Names the descriptor of the real standard error in the new process. */
static const char STDERR_NAME[] = "STEERWAY_STDERR";

/* --- what it says --------------------------------------------------------------------------------------- */

static void keep(struct successor *s, const char *bytes, size_t n)
{
    const size_t most = sizeof s->text - 1;

    if (n > most) {
        bytes += n - most;
        n = most;
    }
    if (s->len + n > most) {
        const size_t drop = s->len + n - most;
        memmove(s->text, s->text + drop, s->len - drop);
        s->len -= drop;
    }
    memcpy(s->text + s->len, bytes, n);
    s->len += n;
    s->text[s->len] = '\0';
}

/* @return as of read */
static ssize_t read_some(struct successor *s)
{
    char bytes[SUCCESSOR_SAID_MAX];
    ssize_t n = read(s->said_fd, bytes, sizeof bytes);

    if (n <= 0)
        return n;
    keep(s, bytes, (size_t)n);
    (void)!write(STDERR_FILENO, bytes, (size_t)n);
    return n;
}

static void say_rest(struct successor *s)
{
    while (s->said_fd >= 0 && read_some(s) > 0)
        ;
}

static void stop_listening(struct successor *s)
{
    if (s->said_fd < 0)
        return;
    ev_io_stop(s->loop, &s->said);
    (void)close(s->said_fd);
    s->said_fd = -1;
}

static void on_said(struct ev_loop *loop, ev_io *w, int events)
{
    struct successor *s = container_of(w, struct successor, said);

    (void)loop;
    (void)events;
    ssize_t n = read_some(s);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        stop_listening(s);
}

/* --- its end -------------------------------------------------------------------------------------------- */

/* The last line, without the name of the program. */
static const char *last_words(struct successor *s)
{
    static const char name[] = "steerway: ";

    while (s->len > 0 && s->text[s->len - 1] == '\n')
        s->text[--s->len] = '\0';
    const char *line = memrchr(s->text, '\n', s->len);
    line = line ? line + 1 : s->text;
    return strncmp(line, name, sizeof name - 1) == 0 ? line + sizeof name - 1 : line;
}

static void forget(struct successor *s)
{
    stop_listening(s);
    ev_timer_stop(s->loop, &s->patience);
    s->pid = 0;
}

static void on_ended(struct ev_loop *loop, ev_child *w, int events)
{
    struct successor *s = container_of(w, struct successor, ended);
    char why[SUCCESSOR_SAID_MAX + 64];

    (void)events;
    ev_child_stop(loop, w);
    if (s->serves)
        return forget(s);
    say_rest(s);
    if (s->len > 0)
        (void)snprintf(why, sizeof why, "%s", last_words(s));
    else if (WIFSIGNALED(w->rstatus))
        (void)snprintf(why, sizeof why, "it was ended by signal %d", WTERMSIG(w->rstatus));
    else
        (void)snprintf(why, sizeof why, "it ended with code %d", WEXITSTATUS(w->rstatus));
    forget(s);
    s->failed(s, why);
}

static void on_patience_over(struct ev_loop *loop, ev_timer *w, int events)
{
    struct successor *s = container_of(w, struct successor, patience);

    (void)events;
    (void)kill(s->pid, SIGKILL);
    ev_child_stop(loop, &s->ended); /* the loop reaps it all the same */
    forget(s);
    s->failed(s, "it took too long to start");
}

/* --- its beginning -------------------------------------------------------------------------------------- */

/* The environment with one more entry, whose text is borrowed. @return NULL without memory */
static char **with_entry(char *entry)
{
    size_t n = 0;

    while (environ[n])
        n++;
    char **all = calloc(n + 2, sizeof *all);
    if (!all)
        return NULL;
    memcpy(all, environ, n * sizeof *all);
    all[n] = entry;
    return all;
}

/* Signals as a program expects them: this one ignores some, and blocks some in its threads. */
static int run_with(pid_t *ret, const char *program, char *const *argv, char *const *env, int said, int real)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t usual, none;

    (void)sigfillset(&usual);
    (void)sigemptyset(&none);
    int r = -posix_spawn_file_actions_init(&files);
    if (r < 0)
        return r;
    r = -posix_spawnattr_init(&how);
    if (r == 0) {
        r = -posix_spawn_file_actions_adddup2(&files, said, STDERR_FILENO);
        if (r == 0) /* to itself: it is inherited */
            r = -posix_spawn_file_actions_adddup2(&files, real, real);
        (void)posix_spawnattr_setsigdefault(&how, &usual);
        (void)posix_spawnattr_setsigmask(&how, &none);
        (void)posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
        if (r == 0)
            r = -posix_spawn(ret, program, &files, &how, argv, env);
        (void)posix_spawnattr_destroy(&how);
    }
    (void)posix_spawn_file_actions_destroy(&files);
    return r;
}

static int run(pid_t *ret, const char *program, char *const *argv, int said)
{
    char entry[64];
    int real = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

    if (real < 0)
        return -errno;
    (void)snprintf(entry, sizeof entry, "%s=%d", STDERR_NAME, real);
    char **env = with_entry(entry);
    int r = env ? run_with(ret, program, argv, env, said, real) : -ENOMEM;
    free(env);
    (void)close(real);
    return r;
}

bool successor_use_stderr(void)
{
    const char *name = getenv(STDERR_NAME);
    int fd = name ? atoi(name) : -1;

    if (fd <= STDERR_FILENO || dup2(fd, STDERR_FILENO) < 0)
        return false;
    (void)close(fd);
    (void)unsetenv(STDERR_NAME);
    return true;
}

int successor_start(struct successor *s, const char *program, char *const *argv)
{
    int said[2];
    pid_t pid;

    if (pipe2(said, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    (void)fcntl(said[1], F_SETFL, 0);
    int r = run(&pid, program, argv, said[1]);
    (void)close(said[1]);
    if (r < 0) {
        (void)close(said[0]);
        return r;
    }
    s->pid = pid;
    s->said_fd = said[0];
    s->serves = false;
    s->len = 0;
    ev_io_init(&s->said, on_said, s->said_fd, EV_READ);
    ev_io_start(s->loop, &s->said);
    ev_child_init(&s->ended, on_ended, pid, 0);
    ev_child_start(s->loop, &s->ended);
    ev_timer_init(&s->patience, on_patience_over, PATIENCE_S, 0.);
    ev_timer_start(s->loop, &s->patience);
    return 0;
}

void successor_serves(struct successor *s)
{
    if (s->pid == 0)
        return;
    say_rest(s);
    s->serves = true;
    ev_timer_stop(s->loop, &s->patience);
}

void successor_done(struct successor *s)
{
    if (s->pid == 0)
        return;
    if (!s->serves)
        (void)kill(s->pid, SIGKILL);
    say_rest(s);
    ev_child_stop(s->loop, &s->ended);
    forget(s);
}
