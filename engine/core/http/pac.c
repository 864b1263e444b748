#include "http/pac.h"

#include "proto/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Ranges of the machine that a script lists; those beyond go by the proxy, which serves them as well. */
enum { LOCAL_MAX = 100 };
/* Names and ranges of the configuration, local ranges, and the code. */
enum { SCRIPT_MAX = 384 * 1024 };

/* --- the configuration ---------------------------------------------------------------------------------- */

static int add_name(struct pac *p, struct slice name)
{
    struct target t; /* it has letters, digits, '-', '_' and '.' only: nothing that JavaScript would read */
    char *joined = NULL;

    if (name.len > 2 && memcmp(name.data, "*.", 2) == 0)
        name = slice_of(name.data + 2, name.len - 2);
    if (target_set(&t, name, 1) != PARSE_OK || t.kind != TARGET_NAME)
        return -EINVAL;
    if (asprintf(&joined, "%s%s\"%s\"", p->names ? p->names : "", p->names ? "," : "", t.host) < 0)
        return -ENOMEM;
    free(p->names);
    p->names = joined;
    p->n_names++;
    return 0;
}

int pac_add(struct pac *p, struct slice text)
{
    struct cidr range;

    if (p->n_names + p->ranges.n >= PAC_BYPASS_MAX)
        return -ENOSPC;
    return cidr_parse(&range, text) == 0 ? cidr_set_add(&p->ranges, &range) : add_name(p, text);
}

void pac_done(struct pac *p)
{
    free(p->names);
    cidr_set_done(&p->ranges);
    *p = (struct pac){.names = NULL};
}

/* --- the script ----------------------------------------------------------------------------------------- */

/* For every engine since ECMAScript 3. A range is its number of bits, then its bytes. */
static const char CODE[] =
    "  function bytesOf(text) {\n"
    "    var m = /^(\\d+)\\.(\\d+)\\.(\\d+)\\.(\\d+)$/.exec(text), out = [], i;\n"
    "    if (m) return [+m[1], +m[2], +m[3], +m[4]];\n"
    "    if (text.indexOf(\":\") < 0) return null;\n"
    "    var halves = text.split(\"::\"), head = halves[0] ? halves[0].split(\":\") : [];\n"
    "    var tail = halves.length > 1 && halves[1] ? halves[1].split(\":\") : [];\n"
    "    while (head.length + tail.length < 8) head.push(\"0\");\n"
    "    head = head.concat(tail);\n"
    "    for (i = 0; i < 8; i++) out.push(parseInt(head[i], 16) >> 8, parseInt(head[i], 16) & 255);\n"
    "    return out;\n"
    "  }\n"
    "  function within(bytes, range) {\n"
    "    if (range.length !== bytes.length + 1) return false;\n"
    "    for (var i = 0, bits = range[0]; bits > 0; i++, bits -= 8) {\n"
    "      var mask = bits < 8 ? 255 << (8 - bits) & 255 : 255;\n"
    "      if ((bytes[i] & mask) !== range[i + 1]) return false;\n"
    "    }\n"
    "    return true;\n"
    "  }\n"
    "  var name = host.toLowerCase().replace(/^\\[|\\]$/g, \"\").replace(/%.*$/, \"\").replace(/\\.$/, "
    "\"\");\n"
    "  var bytes = bytesOf(name), i;\n"
    "  for (i = 0; bytes && i < ranges.length; i++) if (within(bytes, ranges[i])) return \"DIRECT\";\n"
    "  if (bytes) return proxy;\n"
    "  if (local && name.indexOf(\".\") < 0) return \"DIRECT\";\n"
    "  for (i = 0; i < names.length; i++)\n"
    "    if ((\".\" + name).slice(-names[i].length - 1) === \".\" + names[i]) return \"DIRECT\";\n"
    "  return proxy;\n"
    "}\n";

/* A list of ranges that is being written. */
struct ranges {
    struct buf *out;
    size_t n;
    int err;
};

static void put_range(struct ranges *r, const struct cidr *c)
{
    int err = buf_printf(r->out, "%s[%u", r->n++ > 0 ? "," : "", (unsigned)c->bits);

    for (size_t i = 0; err == 0 && i < c->ip_len; i++)
        err = buf_printf(r->out, ",%u", (unsigned)c->ip[i]);
    if (err == 0)
        err = buf_append(r->out, "]", 1);
    r->err = r->err ? r->err : err;
}

/* The networks that the proxy itself reaches without an uplink, where the client is their neighbour, too. A
 * client on this machine is a neighbour of all. */
static void put_local(struct ranges *r, const struct session *s)
{
    static const struct cidr fixed[] = {{.ip = {127}, .ip_len = 4, .bits = 8},
                                        {.ip = {169, 254}, .ip_len = 4, .bits = 16},
                                        {.ip = {[15] = 1}, .ip_len = 16, .bits = 128},
                                        {.ip = {0xfe, 0x80}, .ip_len = 16, .bits = 10}};
    const struct cidr_set *local = s->proxy->outbounds.settings.local;
    bool here = addr_is_loopback(&s->peer);

    for (size_t i = 0; i < ARRAY_LEN(fixed) && !(here && local->n > 0); i++) /* there, local has them */
        put_range(r, &fixed[i]);
    for (size_t i = 0; i < local->n && r->n < LOCAL_MAX; i++)
        if (here || cidr_contains(&local->items[i], &s->peer))
            put_range(r, &local->items[i]);
}

/* By a name and a password only HTTP can be used: browsers have none for SOCKS. Plain "SOCKS" is left out,
 * as some browsers take it for SOCKS4, for which they resolve names themselves. */
static int put_proxy(struct buf *out, const struct session *s, const struct target *at)
{
    const char *open = at->kind == TARGET_IPV6 ? "[" : "", *close = at->kind == TARGET_IPV6 ? "]" : "";
    bool fall_back = s->proxy->settings.pac->fall_back;
    int r = 0;

    if (!access_needs_user(s->proxy->settings.access))
        r = buf_printf(out, "SOCKS5 %s%s%s:%u; ", open, at->host, close, (unsigned)at->port);
    return r < 0 ? r
                 : buf_printf(out, "PROXY %s%s%s:%u%s", open, at->host, close, (unsigned)at->port,
                              fall_back ? "; DIRECT" : "");
}

static int put_script(struct buf *out, const struct session *s, const struct target *at)
{
    const struct pac *p = s->proxy->settings.pac;
    struct ranges ranges = {.out = out};
    int r;

    if ((r = buf_printf(out, "function FindProxyForURL(url, host) {\n  var proxy = \"")) < 0 ||
        (r = put_proxy(out, s, at)) < 0 ||
        (r = buf_printf(out, "\", local = %s;\n  var names = [%s%s", p->no_local ? "false" : "true",
                        p->no_local ? "" : "\"localhost\",\"local\"", !p->no_local && p->names ? "," : "")) <
            0 ||
        (r = buf_append(out, p->names ? p->names : "", p->names ? strlen(p->names) : 0)) < 0 ||
        (r = buf_printf(out, "];\n  var ranges = [")) < 0)
        return r;
    if (!p->no_local)
        put_local(&ranges, s);
    for (size_t i = 0; i < p->ranges.n; i++)
        put_range(&ranges, &p->ranges.items[i]);
    if (ranges.err < 0 || (r = buf_printf(out, "];\n")) < 0)
        return ranges.err < 0 ? ranges.err : r;
    return buf_append(out, CODE, sizeof CODE - 1);
}

/* --- the answer ----------------------------------------------------------------------------------------- */

bool pac_is_asked(const struct http_head *head)
{
    return (slice_eq(head->target, slice_str("/proxy.pac")) ||
            slice_eq(head->target, slice_str("/wpad.dat"))) &&
           (slice_eq(head->method, slice_str("GET")) || slice_eq(head->method, slice_str("HEAD")));
}

/* The client's end of the connection, as the proxy's machine calls it. */
static bool own_end(const struct session *s, struct target *ret)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof name;
    struct addr a;
    size_t ip_len;

    if (getsockname(s->fd, (struct sockaddr *)&name, &len) < 0 ||
        addr_from_sockaddr(&a, (struct sockaddr *)&name, len) < 0)
        return false;
    const uint8_t *ip = addr_ip(&a, &ip_len);
    return target_set_ip(ret, ip, ip_len, addr_port(&a)) == PARSE_OK;
}

/* By which name and port the browser has reached the proxy. A Host with anything but a name or an address
 * does not count: nothing else may get into the script. */
static bool find_end(const struct session *s, const struct http_head *head, struct target *ret)
{
    const struct http_field *host = http_find(head, "Host");
    struct target named;

    if (!own_end(s, ret))
        return false;
    if (host && target_parse(&named, host->value, ret->port) == PARSE_OK)
        *ret = named;
    return true;
}

/* The type, and nosniff, keep pages of other sites from running the script to read the lists in it. What is
 * local depends on the client, so shared caches must not keep it. */
static int put_head(struct buf *out, size_t len)
{
    return buf_printf(out,
                      "HTTP/1.1 200 OK\r\nContent-Type: application/x-ns-proxy-autoconfig\r\n"
                      "Content-Length: %zu\r\nCache-Control: private, max-age=300\r\n"
                      "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
                      len);
}

void pac_answer(struct session *s, const struct http_head *head)
{
    bool head_only = slice_eq(head->method, slice_str("HEAD"));
    struct target at;
    struct buf script;

    buf_init(&script, SCRIPT_MAX);
    bool ok = find_end(s, head, &at) && put_script(&script, s, &at) == 0 &&
              put_head(&s->out, script.len) == 0 &&
              (head_only || buf_append(&s->out, buf_slice(&script).data, script.len) == 0);
    buf_done(&script);
    if (!ok)
        return session_close(s, NULL);
    session_end(s);
}
