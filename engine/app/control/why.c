#include "control/why.h"

#include "base/clock.h"
#include "control/json_text.h"
#include "control/uplink_json.h"
#include "health/health_note.h"
#include "outbound/bypass.h"
#include "outbound/candidates.h"
#include "outbound/question.h"
#include "outbound/search.h"
#include "proto/target.h"
#include "sets/ascii_name.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A pick may take 50 ms of CPU time, and longer in real time on a busy machine. */
static const double PATIENCE_S = 2;
enum { ANSWER_MAX = 64 * 1024, PORT_DEFAULT = 443 };

struct why_child {
    struct why_desk *desk;
    struct ev_loop *loop;
    struct control_reply reply;
    pid_t pid; /* 0: it has ended, and the number may be reused */
    int fd;    /* read end of the pipe */
    ev_io io;
    ev_child exited;
    ev_timer deadline;
    char text[ANSWER_MAX];
    size_t len;
};

/* The connection that is asked about. */
struct question {
    struct target target;
    struct addr client;
    const char *user, *listener;
    bool udp; /* for datagrams */
    bool captured;
    enum policy_proto proto;
};

static bool asks_for_a_name(const struct question *q)
{
    return question_is(q->captured, q->target.port);
}

static int family_of(const struct question *q)
{
    int family = health_family(&q->target);

    return family == AF_INET6 && asks_for_a_name(q) ? AF_UNSPEC : family; /* as outbound_family */
}

/* --- the child ------------------------------------------------------------------------------------------ */

/* Sort uplinks into those that may serve, and the others with their reason. */
static size_t sort_uplinks(const struct uplink_set *set, const struct question *q,
                           struct uplink *ret[UPLINK_MAX], json_t *seen, json_t *left_out)
{
    const struct candidates_request r = {
        .host = q->target.host, .family = family_of(q), .now = clock_now_s(), .datagrams = q->udp};
    enum candidate_absence absence[UPLINK_MAX];
    size_t n = candidates_find(set, &r, ret, absence);

    for (size_t i = 0; i < set->n; i++) {
        const struct uplink *u = set->items[i];
        if (absence[i] == ABSENT_NOT)
            (void)json_array_append_new(seen, uplink_json_seen(u));
        else
            (void)json_array_append_new(left_out, json_pack("{s:s, s:s}", "name", u->name, "why",
                                                            candidates_absence_text(absence[i])));
    }
    return n;
}

static json_t *order_of(const struct policy_choice *choice)
{
    json_t *order = json_array();

    for (size_t i = 0; choice->verdict == POLICY_USE && i < choice->n; i++)
        (void)json_array_append_new(order, json_string(choice->order[i]->name));
    return order;
}

/* The name server that this uplink would ask. */
static json_t *server_of(const struct outbounds *shared, const struct question *q, const struct uplink *u)
{
    struct addr asked, servers[DNS_SERVERS_MAX];
    const struct question_request r = {.asked = bypass_known_address(&q->target, &asked) ? &asked : NULL,
                                       .client = &q->client,
                                       .user = q->user,
                                       .reach = &shared->settings.reach};
    char text[ADDR_TEXT_MAX];

    return question_servers(&r, u, servers) > 0 ? json_string(addr_format(&servers[0], text)) : json_null();
}

static json_t *choose(struct outbounds *shared, const struct question *q)
{
    struct uplink *candidates[UPLINK_MAX];
    json_t *seen = json_array(), *left_out = json_array();
    size_t n = sort_uplinks(shared->uplinks, q, candidates, seen, left_out);
    json_t *answer =
        json_pack("{s:s, s:i, s:o, s:o, s:s, s:I}", "host", q->target.host, "port", (int)q->target.port,
                  "saw", seen, "left_out", left_out, "policy", policy_name(shared->policy), "generation",
                  (json_int_t)policy_generation(shared->policy));
    struct policy_choice choice;
    char client[ADDR_TEXT_MAX];
    const struct outbound_request r = {.target = &q->target,
                                       .proto = q->proto,
                                       .client = &q->client,
                                       .user = q->user,
                                       .listener = q->listener};
    struct policy_conn conn;
    outbound_describe(&r, shared->last_id + 1, POLICY_ATTEMPT_FIRST, &conn, client);
    if (n == 0) {
        (void)json_object_set_new(answer, "verdict", json_string("no uplink"));
        (void)json_object_set_new(answer, "reason", json_string(CANDIDATES_NONE));
        return answer;
    }
    const uint64_t errors = policy_info(shared->policy).errors;
    policy_pick(shared->policy, &conn, candidates, n, &choice);
    const struct policy_info info = policy_info(shared->policy);
    if (info.failed && (info.quarantined || info.errors > errors))
        (void)json_object_set_new(answer, "error", json_text(info.failed));
    bool use = choice.verdict == POLICY_USE;
    (void)json_object_set_new(answer, "verdict", json_string(use ? "use" : "refuse"));
    (void)json_object_set_new(answer, "reason", json_text(choice.reason));
    (void)json_object_set_new(answer, "by_default", json_boolean(choice.by_default && use));
    (void)json_object_set_new(answer, "order", order_of(&choice));
    if (use)
        (void)json_object_set_new(answer, "uplink", json_string(choice.order[0]->name));
    if (use && asks_for_a_name(q))
        (void)json_object_set_new(answer, "server", server_of(shared, q, choice.order[0]));
    const struct candidates_request race = {.host = q->target.host,
                                            .family = family_of(q),
                                            .tried = use ? UINT64_C(1) << (choice.order[0]->view.id - 1) : 0,
                                            .now = clock_now_s(),
                                            .against = use && !choice.race_any ? choice.order[0] : NULL};
    bool has_rival = use && !q->udp && candidates_find(shared->uplinks, &race, candidates, NULL) > 0;
    double hedge_s = has_rival ? search_hedge_after(&shared->settings, &choice, choice.order[0]) : 0;
    if (hedge_s > 0)
        (void)json_object_set_new(answer, "hedge", json_real(hedge_s));
    return answer;
}

/* The child must not change what the parent sees: it leaves sockets alone, and ends by _exit. */
_Noreturn static void be_child(struct outbounds *shared, const struct question *q, int fd)
{
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGHUP, SIG_IGN);
    (void)alarm((unsigned)PATIENCE_S + 1); /* ends the child if the parent is gone */
    log_silence();
    json_t *answer = policy_after_fork(shared->policy) < 0 ? NULL : choose(shared, q);
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
    size_t len = text ? strlen(text) : 0;
    for (size_t at = 0; at < len;) {
        ssize_t n = write(fd, text + at, len - at);
        if (n < 0 && errno != EINTR)
            _exit(1);
        at += n > 0 ? (size_t)n : 0;
    }
    _exit(text ? 0 : 1);
}

/* --- the parent ----------------------------------------------------------------------------------------- */

static void child_end(struct why_child *c)
{
    ev_io_stop(c->loop, &c->io);
    ev_timer_stop(c->loop, &c->deadline);
    ev_child_stop(c->loop, &c->exited);
    (void)close(c->fd);
    if (c->pid > 0)
        (void)kill(c->pid, SIGKILL); /* it has answered, or is too late; the loop reaps it */
    for (size_t i = 0; i < WHY_CHILDREN_MAX; i++)
        if (c->desk->children[i] == c)
            c->desk->children[i] = NULL;
    free(c);
}

static void on_text(struct ev_loop *loop, ev_io *w, int events)
{
    struct why_child *c = container_of(w, struct why_child, io);
    ssize_t n = read(c->fd, c->text + c->len, sizeof c->text - c->len);

    (void)loop;
    (void)events;
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    c->len += n > 0 ? (size_t)n : 0;
    if (n > 0 && c->len < sizeof c->text)
        return;
    json_t *answer = json_loadb(c->text, c->len, 0, NULL);
    if (answer)
        control_answer(c->reply, answer);
    else
        control_refuse(c->reply, "the policy could not be asked");
    child_end(c);
}

static void on_exited(struct ev_loop *loop, ev_child *w, int events)
{
    struct why_child *c = container_of(w, struct why_child, exited);

    (void)events;
    ev_child_stop(loop, w);
    c->pid = 0;
}

static void on_deadline(struct ev_loop *loop, ev_timer *w, int events)
{
    struct why_child *c = container_of(w, struct why_child, deadline);

    (void)loop;
    (void)events;
    control_refuse(c->reply, "the policy gave no answer within 2 s");
    child_end(c);
}

static struct why_child **free_seat(struct why_desk *desk)
{
    for (size_t i = 0; i < WHY_CHILDREN_MAX; i++)
        if (!desk->children[i])
            return &desk->children[i];
    return NULL;
}

static void ask_child(struct why_desk *desk, struct outbounds *shared, const struct question *q,
                      struct control_reply reply)
{
    struct why_child **seat = free_seat(desk);
    struct why_child *c = seat ? calloc(1, sizeof *c) : NULL;
    int ends[2];

    if (!c)
        return control_refuse(reply, "too many questions at once; try again");
    if (pipe2(ends, O_CLOEXEC) < 0) {
        free(c);
        return control_refuse(reply, "%s", strerror(errno));
    }
    pid_t pid = fork();
    if (pid == 0)
        be_child(shared, q, ends[1]);
    int failure = errno;
    (void)close(ends[1]);
    if (pid < 0) {
        (void)close(ends[0]);
        free(c);
        return control_refuse(reply, "%s", strerror(failure));
    }
    *c = (struct why_child){.desk = desk, .loop = shared->loop, .reply = reply, .pid = pid, .fd = ends[0]};
    (void)fcntl(c->fd, F_SETFL, O_NONBLOCK);
    *seat = c;
    ev_io_init(&c->io, on_text, c->fd, EV_READ);
    ev_io_start(shared->loop, &c->io);
    ev_child_init(&c->exited, on_exited, pid, 0);
    ev_set_priority(&c->exited, EV_MAXPRI); /* first, so that a reused process number is not killed */
    ev_child_start(shared->loop, &c->exited);
    ev_timer_init(&c->deadline, on_deadline, PATIENCE_S, 0.);
    ev_timer_start(shared->loop, &c->deadline);
}

/* --- the question --------------------------------------------------------------------------------------- */

static bool is_ascii(const char *text)
{
    while (*text && !((unsigned char)*text & 0x80))
        text++;
    return !*text;
}

static int take_target(const json_t *request, struct target *ret, struct control_reply reply)
{
    const char *host = json_string_value(json_object_get(request, "host"));
    const json_t *port = json_object_get(request, "port");
    char ascii[NAME_SET_TEXT_MAX + 1];

    if (!host || !*host) {
        control_refuse(reply, "expected a \"host\"");
        return -EINVAL;
    }
    if (port &&
        (!json_is_integer(port) || json_integer_value(port) < 1 || json_integer_value(port) > UINT16_MAX)) {
        control_refuse(reply, "port: expected a whole number from 1 to 65535");
        return -EINVAL;
    }
    /* Ask for the ASCII form of "bücher.example", as clients do. */
    int ascii_len = ascii_name(slice_str(host), ascii);
    struct slice name =
        !is_ascii(host) && ascii_len > 0 ? slice_of(ascii, (size_t)ascii_len) : slice_str(host);
    if (target_set(ret, name, port ? (uint16_t)json_integer_value(port) : PORT_DEFAULT) == PARSE_OK)
        return 0;
    control_refuse(reply, "host: '%.100s' is neither a name nor an address", host);
    return -EINVAL;
}

static int take_client(const json_t *request, struct addr *ret, struct control_reply reply)
{
    const char *client;

    if (!json_take_text(request, "client", &client)) {
        control_refuse(reply, "client: expected an address, as a text");
        return -EINVAL;
    }
    if (addr_parse_ip(ret, slice_str(client ? client : "127.0.0.1"), 0) == 0)
        return 0;
    control_refuse(reply, "client: '%.100s' is not an IP address", client);
    return -EINVAL;
}

/* How the client asks. Datagrams have their own flag, since they ask for other candidates, too. */
static int take_proto(const json_t *request, struct question *q, struct control_reply reply)
{
    const char *proto;

    q->udp = json_is_true(json_object_get(request, "udp"));
    q->proto = POLICY_CONNECT;
    if (!json_take_text(request, "proto", &proto) ||
        (proto && (!policy_proto_parse(proto, &q->proto) || q->proto == POLICY_UDP))) {
        control_refuse(reply, "proto: expected socks4, socks5, connect, http, forward or transparent");
        return -EINVAL;
    }
    q->captured = q->proto == POLICY_TRANSPARENT;
    if (q->udp && proto && !q->captured) {
        control_refuse(reply, "proto: with udp, expected transparent or nothing");
        return -EINVAL;
    }
    if (q->udp)
        q->proto = POLICY_UDP;
    return 0;
}

void why_ask(struct why_desk *desk, struct outbounds *shared, const char *listener, const json_t *request,
             struct control_reply reply)
{
    struct question q = {.listener = listener};
    char denied[REACH_WHY_MAX];
    struct addr to;

    if (!json_take_text(request, "user", &q.user))
        return control_refuse(reply, "user: expected a text");
    if (take_target(request, &q.target, reply) < 0 || take_client(request, &q.client, reply) < 0 ||
        take_proto(request, &q, reply) < 0)
        return;
    /* It is neither refused nor sent direct for the server that it is meant for. */
    if (asks_for_a_name(&q))
        return ask_child(desk, shared, &q, reply);
    if (bypass_known_address(&q.target, &to) &&
        !reach_allows(&shared->settings.reach, &q.client, q.user, &to, denied))
        return control_answer(reply, json_pack("{s:s, s:i, s:s, s:s}", "host", q.target.host, "port",
                                               (int)q.target.port, "verdict", "refuse", "reason", denied));
    enum bypass bypass = bypass_of(&shared->settings, &q.target);
    if (bypass != BYPASS_NOT)
        return control_answer(reply, json_pack("{s:s, s:i, s:s, s:s, s:s}", "host", q.target.host, "port",
                                               (int)q.target.port, "verdict", "direct", "reason",
                                               BYPASS_REASON, "bypass", bypass_text(bypass)));
    ask_child(desk, shared, &q, reply);
}

void why_close(struct why_desk *desk)
{
    for (size_t i = 0; i < WHY_CHILDREN_MAX; i++)
        if (desk->children[i])
            child_end(desk->children[i]);
}
