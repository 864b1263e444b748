#include "view/connection_row.h"

#include "base/digits.h"
#include "base/utf8.h"
#include "outbound/account.h"

#include <stdio.h>

/* The first error counts; what follows is not written. */
struct writer {
    struct buf *out;
    int err;
};

static void put(struct writer *w, const char *data, size_t n)
{
    if (w->err == 0)
        w->err = buf_append(w->out, data, n);
}

#define PUT(w, text) put(w, text, sizeof(text) - 1)

static bool is_ordinary(char c)
{
    return (unsigned char)c >= ' ' && (unsigned char)c < 0x7f && c != '"' && c != '\\';
}

/* One character that is not ordinary. A byte outside of UTF-8 becomes \xNN, as in json_text.
 * @return its bytes */
static size_t put_odd(struct writer *w, struct slice s)
{
    size_t n = (unsigned char)*s.data > 0x7f ? utf8_len(s) : 0;
    char text[8];

    if (n > 0) {
        put(w, s.data, n);
        return n;
    }
    unsigned byte = (unsigned char)*s.data;
    n = (size_t)(byte > 0x7f ? snprintf(text, sizeof text, "\\\\x%02x", byte)
                             : snprintf(text, sizeof text, "\\u%04x", byte));
    put(w, text, n);
    return 1;
}

static void put_text(struct writer *w, const char *text)
{
    if (!text)
        return PUT(w, "null");
    PUT(w, "\"");
    for (struct slice s = slice_str(text); s.len > 0;) {
        size_t n = 0;
        while (n < s.len && is_ordinary(s.data[n]))
            n++;
        put(w, s.data, n);
        if (n < s.len)
            n += put_odd(w, slice_of(s.data + n, s.len - n));
        s = slice_of(s.data + n, s.len - n);
    }
    PUT(w, "\"");
}

static void put_number(struct writer *w, uint64_t n)
{
    char text[DIGITS_MAX];

    put(w, text, digits_put(text, n));
}

/* With three decimals. */
static void put_seconds(struct writer *w, double s)
{
    uint64_t ms = s > 0 ? (uint64_t)(s * 1000 + 0.5) : 0;
    const char rest[] = {'.', (char)('0' + ms / 100 % 10), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10)};

    put_number(w, ms / 1000);
    put(w, rest, sizeof rest);
}

int connection_row_write(struct buf *out, const struct account *a, const char *state, double now_s)
{
    struct writer w = {.out = out};
    char client[ADDR_TEXT_MAX];

    PUT(&w, "{\"id\":");
    put_number(&w, a->id);
    PUT(&w, ",\"client\":");
    put_text(&w, addr_format(&a->client, client));
    PUT(&w, ",\"user\":");
    put_text(&w, a->user);
    PUT(&w, ",\"proto\":");
    put_text(&w, a->proto);
    PUT(&w, ",\"host\":");
    put_text(&w, a->host);
    PUT(&w, ",\"address\":");
    put_text(&w, a->address);
    PUT(&w, ",\"port\":");
    put_number(&w, a->port);
    PUT(&w, ",\"uplink\":");
    put_text(&w, a->uplink);
    PUT(&w, ",\"reason\":");
    put_text(&w, a->reason);
    PUT(&w, ",\"listener\":");
    put_text(&w, a->listener);
    PUT(&w, ",\"tx\":");
    put_number(&w, a->tx);
    PUT(&w, ",\"rx\":");
    put_number(&w, a->rx);
    PUT(&w, ",\"age\":");
    put_seconds(&w, now_s - a->started_s);
    if (a->outcome) {
        PUT(&w, ",\"duration\":");
        put_seconds(&w, a->ended_s - a->started_s);
        PUT(&w, ",\"outcome\":");
        put_text(&w, a->outcome);
    } else {
        PUT(&w, ",\"state\":");
        put_text(&w, state);
    }
    PUT(&w, "}");
    return w.err;
}
