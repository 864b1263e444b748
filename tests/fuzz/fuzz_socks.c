/* SOCKS4, SOCKS5, its datagrams, and the hosts in them, all from the same bytes. */
#include "fuzz.h"
#include "proto/socks4.h"
#include "proto/socks5.h"
#include "proto/socks_udp.h"

enum { LONGEST = 1024 };

static bool within(struct slice part, const char *data, size_t len)
{
    return part.data >= data && part.data + part.len <= data + len;
}

static enum parse parse_socks4(const char *data, size_t len, size_t *ret_consumed)
{
    struct socks4_request r;
    enum parse p = socks4_parse(&r, data, len);
    if (p != PARSE_OK)
        return p;
    CHECK(r.command == SOCKS4_CONNECT || r.command == SOCKS4_BIND);
    CHECK(r.command == SOCKS4_BIND || r.target.port != 0);
    CHECK(r.user.len <= SOCKS4_USER_MAX && within(r.user, data, r.consumed));
    CHECK(r.named || r.target.kind == TARGET_IPV4);
    fuzz_target(&r.target);
    *ret_consumed = r.consumed;
    return p;
}

static enum parse parse_greeting(const char *data, size_t len, size_t *ret_consumed)
{
    struct socks5_greeting g;
    enum parse p = socks5_parse_greeting(&g, data, len);
    if (p == PARSE_OK)
        *ret_consumed = g.consumed;
    return p;
}

static enum parse parse_auth(const char *data, size_t len, size_t *ret_consumed)
{
    struct socks5_auth a;
    enum parse p = socks5_parse_auth(&a, data, len);
    if (p != PARSE_OK)
        return p;
    CHECK(within(a.user, data, a.consumed) && within(a.pass, data, a.consumed));
    CHECK(a.consumed == 3 + a.user.len + a.pass.len);
    *ret_consumed = a.consumed;
    return p;
}

static enum parse parse_request(const char *data, size_t len, size_t *ret_consumed)
{
    struct socks5_request r;
    enum parse p = socks5_parse_request(&r, data, len);
    if (p != PARSE_OK)
        return p;
    CHECK(r.consumed <= len);
    if (r.objection == SOCKS5_SUCCEEDED) {
        CHECK(r.command != SOCKS5_CONNECT || r.target.port != 0);
        fuzz_target(&r.target);
    }
    *ret_consumed = r.consumed;
    return p;
}

/* What a parsed header says is the same in its target, and behind its own end. */
static void fuzz_header(const struct socks_udp *u, const char *data)
{
    struct socks_udp again;
    struct target t;
    char *exact = fuzz_copy(data, u->consumed), *cut = fuzz_copy(data, u->consumed - 1);

    CHECK(u->ip_len == 0 || u->ip_len == 4 || u->ip_len == 16);
    CHECK(u->ip_len == 0 ? within(u->name, data, u->consumed) && u->name.len > 0 : u->name.len == 0);
    CHECK(socks_udp_target(&t, u) == PARSE_OK);
    CHECK(t.port == u->port && t.port != 0 && (t.kind == TARGET_NAME) == (u->ip_len == 0));
    CHECK(u->ip_len == 0 || (t.kind == TARGET_IPV4) == (u->ip_len == 4));
    fuzz_target(&t);
    CHECK(socks_udp_parse(&again, exact, u->consumed) == PARSE_OK && again.consumed == u->consumed);
    CHECK(socks_udp_parse(&again, cut, u->consumed - 1) == PARSE_BAD);
    free(exact);
    free(cut);
}

static void fuzz_datagram(const char *data, size_t len)
{
    struct socks_udp u, again;
    char out[SOCKS_UDP_HEADER_MAX], *copy = fuzz_copy(data, len);

    memset(&u, 0x5a, sizeof u);
    if (socks_udp_parse(&u, copy, len) == PARSE_OK) {
        CHECK(u.consumed <= len);
        fuzz_header(&u, copy);
        if (u.ip_len > 0) {
            const size_t n = socks_udp_write(out, u.ip, u.ip_len, u.port);
            CHECK(socks_udp_parse(&again, out, n) == PARSE_OK && again.consumed == n && again.frag == 0);
            CHECK(again.ip_len == u.ip_len && memcmp(again.ip, u.ip, u.ip_len) == 0 && again.port == u.port);
        }
    }
    free(copy);
}

static void fuzz_host(struct slice text)
{
    struct target t;

    if (target_set(&t, text, 1) != PARSE_OK)
        return;
    for (size_t n = 0; n <= text.len; n++)
        CHECK(target_may_begin(slice_of(text.data, n)));
    fuzz_target(&t);
}

static void fuzz_authority(struct slice text)
{
    struct target t, again;
    char written[TARGET_HOST_MAX + 16];

    if (target_parse(&t, text, 80) != PARSE_OK)
        return;
    CHECK(t.port != 0);
    fuzz_target(&t);
    (void)snprintf(written, sizeof written, t.kind == TARGET_IPV6 ? "[%s]:%d" : "%s:%d", t.host, t.port);
    CHECK(target_parse(&again, slice_str(written), 0) == PARSE_OK);
    CHECK(again.port == t.port && again.kind == t.kind && strcmp(again.host, t.host) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;

    if (size > LONGEST)
        return 0;
    fuzz_prefixes(parse_socks4, text, size);
    fuzz_prefixes(parse_greeting, text, size);
    fuzz_prefixes(parse_auth, text, size);
    fuzz_prefixes(parse_request, text, size);
    fuzz_datagram(text, size);
    fuzz_host(slice_of(text, size));
    fuzz_authority(slice_of(text, size));
    return 0;
}
