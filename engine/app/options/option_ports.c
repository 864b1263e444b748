/* The options of ports whose clients know no proxy: forwards and transparent listeners. */
#include "options/option_setters.h"

#include "base/host_port.h"
#include "options/option_listen.h"

#include <errno.h>
#include <string.h>

static const char FORWARD_EXPECTED[] =
    "expected tcp:ADDRESS:PORT=HOST:PORT, such as tcp:127.0.0.1:5432=db.example.org:5432 or "
    "tcp:[::1]:2222=192.0.2.1:22 (a port alone listens on localhost)";
static const char TRANSPARENT_EXPECTED[] =
    "expected redirect:ADDRESS:PORT or tproxy:ADDRESS:PORT, such as redirect:*:12345";

/* Take "word:" from the front of a text. */
static bool take_word(struct slice *text, const char *word)
{
    size_t len = strlen(word);

    if (text->len <= len || !slice_ieq(slice_of(text->data, len), slice_str(word)) || text->data[len] != ':')
        return false;
    *text = slice_of(text->data + len + 1, text->len - len - 1);
    return true;
}

static bool is_digits(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    return text.len > 0;
}

/* "5000-5010", where a port is expected. */
static bool is_range(struct slice text)
{
    const char *dash = text.len ? memchr(text.data, '-', text.len) : NULL;
    size_t before = dash ? (size_t)(dash - text.data) : 0;

    return dash && is_digits(slice_of(text.data, before)) &&
           is_digits(slice_of(dash + 1, text.len - before - 1));
}

static struct slice port_part(struct slice text)
{
    const struct host_port split = host_port_split(text);

    return split.has_port ? split.port : text;
}

static int refuse_range(char *err)
{
    return config_refuse(err, "a forward leads from one port to one port: give one for each port of a range");
}

/* A port alone is one of localhost. */
static int take_listen(struct config_ports *ret, struct slice text, char *err)
{
    static const char local[] = "localhost:";
    char with_host[sizeof local + 8];

    if (is_digits(text) && text.len < 8) {
        memcpy(with_host, local, sizeof local - 1);
        memcpy(with_host + sizeof local - 1, text.data, text.len);
        text = slice_of(with_host, sizeof local - 1 + text.len);
    }
    int n = option_parse_listen(text, ret->places, err);
    if (n < 0)
        return n;
    ret->n_places = (size_t)n;
    return 0;
}

static bool take_target(struct target *ret, struct slice text)
{
    return target_parse(ret, text, 0) == PARSE_OK;
}

int option_set_forward(struct config *c, const char *value, char *err)
{
    struct config_forward f = {.udp = false};
    struct slice text = slice_str(value);

    if (!take_word(&text, "tcp")) {
        f.udp = take_word(&text, "udp");
        if (!f.udp)
            return config_refuse(err, "%s", FORWARD_EXPECTED);
    }
    const char *equals = memchr(text.data, '=', text.len);
    if (!equals)
        return config_refuse(err, "%s", FORWARD_EXPECTED);
    const struct slice listen = slice_of(text.data, (size_t)(equals - text.data)),
                       to = slice_of(equals + 1, text.len - listen.len - 1);
    if (is_range(port_part(listen)) || is_range(port_part(to)))
        return refuse_range(err);
    if (!take_target(&f.to, to))
        return config_refuse(err,
                             "'%.*s' is not HOST:PORT; an IPv6 address needs brackets: [2001:db8::1]:443",
                             (int)(to.len < 60 ? to.len : 60), to.data);
    int r = take_listen(&f.ports, listen, err);
    if (r < 0)
        return r;
    if (c->n_forwards == CONFIG_LISTEN_MAX)
        return config_refuse(err, "at most %d forwards", CONFIG_LISTEN_MAX);
    c->forwards[c->n_forwards++] = f;
    return 0;
}

int option_set_transparent(struct config *c, const char *value, char *err)
{
    struct config_transparent t = {.tproxy = false};
    struct slice text = slice_str(value);

    if (!take_word(&text, "redirect")) {
        t.tproxy = take_word(&text, "tproxy");
        if (!t.tproxy)
            return config_refuse(err, "%s", TRANSPARENT_EXPECTED);
    }
    int r = take_listen(&t.ports, text, err);
    if (r < 0)
        return r;
    if (c->n_transparents == CONFIG_LISTEN_MAX)
        return config_refuse(err, "at most %d transparent listeners", CONFIG_LISTEN_MAX);
    c->transparents[c->n_transparents++] = t;
    return 0;
}

int option_set_transparent_resolve(struct config *c, const char *value, char *err)
{
    (void)value;
    (void)err;
    c->transparent_resolve = true;
    return 0;
}
