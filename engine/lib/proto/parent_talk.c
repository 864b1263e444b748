#include "proto/parent_talk.h"

#include "base/host_port.h"
#include "proto/base64.h"
#include "proto/http_head.h"
#include "proto/socks4.h"
#include "proto/socks5.h"

#include <stdio.h>
#include <string.h>

enum { METHOD_LEN = 2, REPLY_HEAD = 5, REPLY_LEN_MIN = 10 };

/* --- sending -------------------------------------------------------------------------------------------- */

static void put(struct parent_talk *t, const void *data, size_t n)
{
    memcpy(t->out + t->out_len, data, n); /* the longest message fits: its parts are bounded */
    t->out_len += n;
}

static void put_byte(struct parent_talk *t, unsigned byte)
{
    const char c = (char)byte;
    put(t, &c, 1);
}

static void put_port(struct parent_talk *t)
{
    put_byte(t, t->request.target->port >> 8);
    put_byte(t, t->request.target->port & 0xff);
}

/* The length, then the text. */
static void put_text(struct parent_talk *t, const char *text)
{
    size_t len = strlen(text);

    put_byte(t, (unsigned)len);
    put(t, text, len);
}

static void say_hello5(struct parent_talk *t)
{
    static const char plain[] = {SOCKS5_VERSION, 1, SOCKS5_NO_AUTH};
    static const char with_user[] = {SOCKS5_VERSION, 2, SOCKS5_NO_AUTH, SOCKS5_USER_PASS};

    if (t->request.user[0])
        put(t, with_user, sizeof with_user);
    else
        put(t, plain, sizeof plain);
    t->step = PARENT_HELLO;
}

static void say_credentials5(struct parent_talk *t)
{
    put_byte(t, SOCKS5_AUTH_VERSION);
    put_text(t, t->request.user);
    put_text(t, t->request.pass);
    t->step = PARENT_AUTH;
}

/* The request names no address: this end does not know which one the parent proxy sees. */
static void say_associate5(struct parent_talk *t)
{
    static const char request[REPLY_LEN_MIN] = {SOCKS5_VERSION, SOCKS5_UDP_ASSOCIATE, 0, 1};

    put(t, request, sizeof request);
    t->step = PARENT_REQUEST;
}

static void say_request5(struct parent_talk *t)
{
    const struct target *to = t->request.target;

    if (t->request.datagrams)
        return say_associate5(t);
    put_byte(t, SOCKS5_VERSION);
    put_byte(t, SOCKS5_CONNECT);
    put_byte(t, 0);
    switch (to->kind) {
    case TARGET_NAME:
        put_byte(t, 3);
        put_text(t, to->host);
        break;
    case TARGET_IPV4:
        put_byte(t, 1);
        put(t, to->ip, 4);
        break;
    case TARGET_IPV6:
        put_byte(t, 4);
        put(t, to->ip, 16);
        break;
    }
    put_port(t);
    t->step = PARENT_REQUEST;
}

static void say_request4(struct parent_talk *t)
{
    static const uint8_t named[] = {0, 0, 0, 1}; /* 4a: a name follows */
    const struct target *to = t->request.target;

    put_byte(t, SOCKS4_VERSION);
    put_byte(t, SOCKS4_CONNECT);
    put_port(t);
    put(t, to->kind == TARGET_IPV4 ? to->ip : named, 4);
    put(t, t->request.user, strlen(t->request.user) + 1);
    if (to->kind != TARGET_IPV4)
        put(t, to->host, strlen(to->host) + 1);
    t->step = PARENT_REQUEST;
}

static void say_connect(struct parent_talk *t)
{
    const struct target *to = t->request.target;
    char place[TARGET_HOST_MAX + 16], credentials[2 * PARENT_CREDENTIAL_MAX + 2];
    char encoded[sizeof credentials / 3 * 4 + 8];

    (void)host_port_format(place, sizeof place, slice_str(to->host), to->port);
    t->out_len = (size_t)snprintf(t->out, sizeof t->out, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", place, place);
    if (t->request.user[0] || t->request.pass[0]) {
        int n = snprintf(credentials, sizeof credentials, "%s:%s", t->request.user, t->request.pass);
        base64_encode(slice_of(credentials, (size_t)n), encoded);
        t->out_len += (size_t)snprintf(t->out + t->out_len, sizeof t->out - t->out_len,
                                       "Proxy-Authorization: Basic %s\r\n", encoded);
    }
    put(t, "\r\n", 2);
    t->step = PARENT_REQUEST;
}

void parent_talk_begin(struct parent_talk *t, const struct parent_talk_request *request)
{
    t->request = *request;
    t->fault = FAULT_NONE;
    t->unsupported = false;
    t->out_len = t->in_len = 0;
    switch (request->protocol) {
    case PARENT_SOCKS5:
        return say_hello5(t);
    case PARENT_SOCKS4A:
        return say_request4(t);
    case PARENT_HTTP:
        return say_connect(t);
    }
}

/* --- receiving ------------------------------------------------------------------------------------------ */

/* The length of the awaited SOCKS message, as far as the bytes so far tell. */
static size_t socks_length(const struct parent_talk *t)
{
    if (t->request.protocol == PARENT_SOCKS4A)
        return SOCKS4_REPLY_LEN;
    if (t->step != PARENT_REQUEST)
        return METHOD_LEN;
    if (t->in_len < REPLY_HEAD)
        return REPLY_HEAD;
    switch (t->in[3]) {
    case 3:
        return REPLY_HEAD + (uint8_t)t->in[4] + 2u;
    case 4:
        return REPLY_LEN_MIN - 4 + 16;
    default:
        return REPLY_LEN_MIN;
    }
}

/* The end of a head: after the first empty line. @return 0 if it is not there yet */
static size_t end_of_head(const char *data, size_t n)
{
    bool empty = false; /* whether the present line is empty so far */

    for (size_t i = 0; i < n; i++) {
        if (data[i] == '\n' && empty)
            return i + 1;
        if (data[i] == '\n')
            empty = true;
        else if (data[i] != '\r')
            empty = false;
    }
    return 0;
}

static size_t http_share(const struct parent_talk *t, const char *data, size_t n)
{
    char both[PARENT_IN_MAX];
    size_t room = sizeof both - t->in_len, taken = n < room ? n : room;

    memcpy(both, t->in, t->in_len);
    memcpy(both + t->in_len, data, taken);
    size_t end = end_of_head(both, t->in_len + taken);
    return end > t->in_len ? end - t->in_len : taken;
}

size_t parent_talk_share(const struct parent_talk *t, const char *data, size_t n)
{
    if (t->request.protocol == PARENT_HTTP)
        return http_share(t, data, n);
    size_t wanted = socks_length(t) - t->in_len;
    return n < wanted ? n : wanted;
}

static bool over(struct parent_talk *t, enum fault fault)
{
    t->step = PARENT_OVER;
    t->fault = fault;
    return true;
}

/* Drop the message that was read, and send the next. */
static bool go_on(struct parent_talk *t, void (*say)(struct parent_talk *t))
{
    t->in_len = 0;
    say(t);
    return false;
}

/* A name as the relay's address is refused: it would need name servers that nobody has chosen. */
static bool take_relay(struct parent_talk *t)
{
    struct parent_relay *r = &t->relay;
    size_t ip_len = t->in[3] == 1 ? 4 : t->in[3] == 4 ? 16 : 0;
    const uint8_t *ip = (const uint8_t *)t->in + 4;

    r->ip_len = (uint8_t)ip_len;
    memcpy(r->ip, ip, ip_len);
    r->port = ip_len > 0 ? (uint16_t)(ip[ip_len] << 8 | ip[ip_len + 1]) : 0;
    return over(t, r->port > 0 ? FAULT_NONE : FAULT_PARENT);
}

static bool take_reply5(struct parent_talk *t)
{
    if (t->in[0] != SOCKS5_VERSION)
        return over(t, FAULT_PARENT);
    switch ((uint8_t)t->in[1]) {
    case SOCKS5_SUCCEEDED:
        return t->request.datagrams ? take_relay(t) : over(t, FAULT_NONE);
    case SOCKS5_REFUSED:
        return over(t, FAULT_REFUSED);
    case SOCKS5_NOT_ALLOWED:
        return over(t, FAULT_REJECTED);
    case SOCKS5_NETWORK_UNREACHABLE:
    case SOCKS5_ADDRESS_UNSUPPORTED: /* it lacks that family */
        return over(t, FAULT_UNREACHABLE);
    case SOCKS5_HOST_UNREACHABLE:
        return over(t, FAULT_HOST);
    case SOCKS5_TTL_EXPIRED:
        return over(t, FAULT_EXPIRED);
    case SOCKS5_COMMAND_UNSUPPORTED:
        t->unsupported = true;
        return over(t, FAULT_PARENT);
    default:
        return over(t, FAULT_FAILED);
    }
}

static bool take_socks5(struct parent_talk *t)
{
    if (t->step == PARENT_AUTH)
        return t->in[1] == 0 ? go_on(t, say_request5) : over(t, FAULT_PARENT);
    if (t->step == PARENT_REQUEST)
        return take_reply5(t);
    if (t->in[0] != SOCKS5_VERSION)
        return over(t, FAULT_PARENT);
    if (t->in[1] == SOCKS5_NO_AUTH)
        return go_on(t, say_request5);
    if (t->in[1] == SOCKS5_USER_PASS && t->request.user[0])
        return go_on(t, say_credentials5);
    return over(t, FAULT_PARENT);
}

static bool take_socks4(struct parent_talk *t)
{
    if (t->in[0] != 0)
        return over(t, FAULT_PARENT);
    switch ((uint8_t)t->in[1]) {
    case SOCKS4_GRANTED:
        return over(t, FAULT_NONE);
    case SOCKS4_REJECTED: /* "rejected or failed" */
        return over(t, FAULT_FAILED);
    default:
        return over(t, FAULT_PARENT);
    }
}

static enum fault fault_of_status(int status)
{
    switch (status) {
    case 403:
    case 451: /* RFC 7725 */
        return FAULT_REJECTED;
    case 407:
        return FAULT_PARENT;
    case 408:
    case 504:
        return FAULT_EXPIRED;
    default:
        return FAULT_FAILED;
    }
}

static bool take_http(struct parent_talk *t)
{
    struct http_head head;

    switch (http_parse_response(&head, t->in, t->in_len)) {
    case PARSE_NEED_MORE:
        return t->in_len == sizeof t->in && over(t, FAULT_PARENT);
    case PARSE_BAD:
        return over(t, FAULT_PARENT);
    case PARSE_OK:
        break;
    }
    if (head.consumed != t->in_len) /* the parser and http_share disagree about the end of the head */
        return over(t, FAULT_PARENT);
    if (head.status < 200) { /* interim responses are ignored (RFC 9110 15.2) */
        t->in_len = 0;
        return false;
    }
    if (head.status < 300)
        return over(t, FAULT_NONE);
    return over(t, fault_of_status(head.status));
}

bool parent_talk_take(struct parent_talk *t, const char *data, size_t n)
{
    t->out_len = 0;
    memcpy(t->in + t->in_len, data, n); /* fits, as it is no more than the share */
    t->in_len += n;
    if (t->request.protocol == PARENT_HTTP)
        return take_http(t);
    if (t->in_len < socks_length(t))
        return false;
    return t->request.protocol == PARENT_SOCKS5 ? take_socks5(t) : take_socks4(t);
}
