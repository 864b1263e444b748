#include "peek/tls_hello.h"

enum { RECORD_HEADER = 5, RECORD_MAX = 1 << 14, MESSAGE_HEADER = 4 };
enum { CLIENT_HELLO = 1, VERSION_MAJOR = 3, RANDOM_SIZE = 32, SESSION_ID_MAX = 32 };
enum { EXTENSION_SERVER_NAME = 0, NAME_TYPE_HOST = 0, NAME_ENTRY_MIN = 3 };

/* Reads the bytes of the message, and passes over the headers of records between them. Once the state is not
 * PARSE_OK, further steps do nothing. */
struct reader {
    const uint8_t *at, *end;
    size_t record_left; /* of the present record; of all data where there are no records */
    size_t left;        /* of the message, as far as its length is known */
    bool records;
    enum parse state;
};

static void refuse_unless(struct reader *r, bool good)
{
    if (r->state == PARSE_OK && !good)
        r->state = PARSE_BAD;
}

/* Whether these may be the first bytes of a record that continues the message. The version's minor is of no
 * meaning, and no record of a handshake is empty (RFC 8446 5.1). */
static bool may_begin_record(const uint8_t *h, size_t len)
{
    if ((len > 0 && h[0] != TLS_RECORD_HANDSHAKE) || (len > 1 && h[1] != VERSION_MAJOR))
        return false;
    if (len > 3 && h[3] > RECORD_MAX >> 8)
        return false;
    const size_t size = len > 4 ? (size_t)h[3] << 8 | h[4] : 1;
    return size >= 1 && size <= RECORD_MAX;
}

static void next_record(struct reader *r)
{
    const size_t there = (size_t)(r->end - r->at);

    refuse_unless(r, may_begin_record(r->at, there < RECORD_HEADER ? there : RECORD_HEADER));
    if (r->state != PARSE_OK)
        return;
    if (there < RECORD_HEADER) {
        r->state = PARSE_NEED_MORE;
        return;
    }
    r->record_left = (size_t)r->at[3] << 8 | r->at[4];
    r->at += RECORD_HEADER;
}

/* Take up to n bytes of the message that lie side by side: at least one, unless the state is not PARSE_OK. */
static struct slice take(struct reader *r, size_t n)
{
    refuse_unless(r, n <= r->left);
    if (r->state == PARSE_OK && r->records && r->record_left == 0)
        next_record(r);
    if (r->state == PARSE_OK && r->at == r->end)
        r->state = PARSE_NEED_MORE;
    if (r->state != PARSE_OK)
        return slice_of(NULL, 0);
    const size_t there = (size_t)(r->end - r->at);
    n = n < there ? n : there;
    if (r->records && n > r->record_left)
        n = r->record_left;
    const struct slice piece = slice_of((const char *)r->at, n);
    r->at += n;
    r->left -= n;
    r->record_left -= r->records ? n : 0;
    return piece;
}

static void skip(struct reader *r, size_t n)
{
    while (n > 0 && r->state == PARSE_OK)
        n -= take(r, n).len;
}

/* A number of so many bytes, with the highest byte first; 0 when there is none. */
static size_t take_number(struct reader *r, size_t bytes)
{
    size_t number = 0;

    for (size_t i = 0; i < bytes; i++) {
        const struct slice byte = take(r, 1);
        if (r->state != PARSE_OK)
            return 0;
        number = number << 8 | (uint8_t)byte.data[0];
    }
    return number;
}

/* The length of what follows, which is within the message. */
static size_t take_length(struct reader *r, size_t bytes, size_t min, size_t max)
{
    const size_t n = take_number(r, bytes);

    refuse_unless(r, n >= min && n <= max && n <= r->left);
    return n;
}

static void take_name(struct reader *r, size_t len, char host[TARGET_HOST_MAX + 1])
{
    char name[TARGET_HOST_MAX + 1]; /* a dot may end it */
    size_t n = 0;
    struct target t;

    refuse_unless(r, len > 0 && len <= sizeof name);
    while (n < len && r->state == PARSE_OK) {
        const struct slice piece = take(r, len - n);
        if (piece.len > 0)
            memcpy(name + n, piece.data, piece.len);
        n += piece.len;
    }
    if (r->state == PARSE_NEED_MORE && !target_may_begin(slice_of(name, n)))
        r->state = PARSE_BAD;
    if (r->state != PARSE_OK)
        return;
    /* An address is not allowed here (RFC 6066 3). */
    refuse_unless(r, target_set(&t, slice_of(name, n), 1) == PARSE_OK && t.kind == TARGET_NAME);
    if (r->state == PARSE_OK)
        memcpy(host, t.host, strlen(t.host) + 1);
}

/* A list of names of several kinds, of which only that of a host exists. */
static void take_server_name(struct reader *r, size_t len, char host[TARGET_HOST_MAX + 1])
{
    size_t list = take_length(r, 2, NAME_ENTRY_MIN, SIZE_MAX);

    refuse_unless(r, list + 2 == len);
    while (r->state == PARSE_OK) {
        refuse_unless(r, list >= NAME_ENTRY_MIN);
        const size_t type = take_number(r, 1);
        const size_t n = take_length(r, 2, 0, list - NAME_ENTRY_MIN);
        if (r->state == PARSE_OK && type == NAME_TYPE_HOST) {
            take_name(r, n, host);
            return;
        }
        skip(r, n);
        list -= NAME_ENTRY_MIN + n;
    }
}

/* @see RFC 8446 4.2; before TLS 1.3 a hello may end without extensions */
static void take_extensions(struct reader *r, char host[TARGET_HOST_MAX + 1])
{
    const size_t all = take_length(r, 2, 0, SIZE_MAX);

    refuse_unless(r, all == r->left);
    while (r->state == PARSE_OK) {
        const size_t type = take_number(r, 2);
        const size_t n = take_length(r, 2, 0, SIZE_MAX);
        if (r->state == PARSE_OK && type == EXTENSION_SERVER_NAME) {
            take_server_name(r, n, host);
            return;
        }
        skip(r, n);
    }
}

static enum parse find(struct reader *r, char host[TARGET_HOST_MAX + 1])
{
    r->state = PARSE_OK;
    r->left = MESSAGE_HEADER;
    refuse_unless(r, take_number(r, 1) == CLIENT_HELLO);
    const size_t len = take_number(r, 3);
    refuse_unless(r, len <= TLS_HELLO_MAX);
    r->left = len;
    refuse_unless(r, take_number(r, 1) == VERSION_MAJOR);
    skip(r, 1 + RANDOM_SIZE);
    skip(r, take_length(r, 1, 0, SESSION_ID_MAX));
    const size_t suites = take_length(r, 2, 2, SIZE_MAX);
    refuse_unless(r, suites % 2 == 0);
    skip(r, suites);
    skip(r, take_length(r, 1, 1, SIZE_MAX)); /* compression methods */
    take_extensions(r, host);
    return r->state;
}

enum parse tls_hello_in_records(struct slice data, char host[TARGET_HOST_MAX + 1])
{
    const size_t len = data.len < TLS_HELLO_MAX ? data.len : TLS_HELLO_MAX;
    const uint8_t *bytes = (const uint8_t *)data.data;
    struct reader r = {.at = bytes, .end = bytes + len, .records = true};
    const enum parse p = find(&r, host);

    return p == PARSE_NEED_MORE && len == TLS_HELLO_MAX ? PARSE_BAD : p;
}

enum parse tls_hello_in_message(struct slice data, char host[TARGET_HOST_MAX + 1])
{
    const uint8_t *bytes = (const uint8_t *)data.data;
    struct reader r = {.at = bytes, .end = bytes + data.len};

    return find(&r, host);
}
