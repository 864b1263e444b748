#include "dns/dns_message.h"

#include "dns/dns_name.h"

#include <arpa/nameser.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <string.h>

/* At most an hour, whatever the zone says, so that a machine that moved is found again. */
static const double TTL_MAX_S = 3600;
/* RFC 1034 3.6.2 discourages chains of aliases; resolvers follow about ten. */
enum { ALIASES_MAX = 12, HEADER_LEN = 12, LABEL_MAX = 63 };
/* Bits of the header's third and fourth byte. */
enum { RECURSION_DESIRED = 1, TRUNCATED = 2, AUTHORITATIVE = 4, RECURSION_AVAILABLE = 0x80 };

int dns_query_make(struct dns_query *ret, const char *name, enum dns_type type)
{
    uint8_t *at = ret->data + HEADER_LEN;
    const uint8_t *end = ret->data + sizeof ret->data - 5; /* the root label, type, class */

    memset(ret->data, 0, HEADER_LEN);
    ret->data[2] = RECURSION_DESIRED;
    ret->data[5] = 1; /* one question */
    while (*name) {
        size_t len = strcspn(name, ".");
        if (len == 0 || len > LABEL_MAX || at + 1 + len > end)
            return -EINVAL;
        *at++ = (uint8_t)len;
        memcpy(at, name, len);
        at += len;
        name += len + (name[len] == '.');
    }
    const uint8_t tail[] = {0, 0, (uint8_t)type, 0, ns_c_in};
    memcpy(at, tail, sizeof tail);
    ret->len = (size_t)(at - ret->data) + sizeof tail;
    return 0;
}

void dns_query_set_id(struct dns_query *q, uint16_t id)
{
    q->data[0] = (uint8_t)(id >> 8);
    q->data[1] = (uint8_t)id;
}

static enum dns_type type_of(const struct dns_query *q)
{
    return q->data[q->len - 3] == DNS_TYPE_AAAA ? DNS_TYPE_AAAA : DNS_TYPE_A;
}

/* --- an answer ------------------------------------------------------------------------------------------ */

static bool same_bytes(const uint8_t *a, const uint8_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (tolower(a[i]) != tolower(b[i]))
            return false;
    return true;
}

/* Whether it answers the question. Some servers omit the question when they refuse it. */
static bool answers_query(const struct dns_query *q, const uint8_t *data, size_t len)
{
    if (len < HEADER_LEN || data[0] != q->data[0] || data[1] != q->data[1] || !(data[2] & 0x80))
        return false;
    if (len == HEADER_LEN)
        return (data[3] & 0xf) != ns_r_noerror && data[4] == 0 && data[5] == 0;
    return len >= q->len && data[4] == 0 && data[5] == 1 &&
           same_bytes(data + HEADER_LEN, q->data + HEADER_LEN, q->len - HEADER_LEN);
}

static enum dns_says of_code(unsigned code)
{
    switch (code) {
    case ns_r_noerror:
        return DNS_SAYS_NO_DATA; /* unless it has addresses */
    case ns_r_nxdomain:
        return DNS_SAYS_NO_NAME;
    case ns_r_servfail:
        return DNS_SAYS_FAILED;
    default:
        return DNS_SAYS_UNWILLING;
    }
}

static size_t count_of(ns_msg *m, ns_sect section)
{
    size_t n = ns_msg_count(*m, section);

    return n < DNS_RECORDS_MAX ? n : DNS_RECORDS_MAX;
}

static bool is_of(const ns_rr *rr, ns_type type, const char *name)
{
    return ns_rr_type(*rr) == type && ns_rr_class(*rr) == ns_c_in && strcasecmp(ns_rr_name(*rr), name) == 0;
}

/* Follow one alias. @return 1 with its target in name, 0 without an alias, -EINVAL */
static int next_alias(ns_msg *m, char name[NS_MAXDNAME], double *ttl_s)
{
    ns_rr rr;

    for (size_t i = 0; i < count_of(m, ns_s_an); i++) {
        if (ns_parserr(m, ns_s_an, (int)i, &rr) < 0)
            return -EINVAL;
        if (!is_of(&rr, ns_t_cname, name))
            continue;
        if (ns_name_uncompress(ns_msg_base(*m), ns_msg_end(*m), ns_rr_rdata(rr), name, NS_MAXDNAME) < 0)
            return -EINVAL;
        *ttl_s = fmin(*ttl_s, ns_rr_ttl(rr));
        return 1;
    }
    return 0;
}

static int take_addrs(struct dns_reply *ret, ns_msg *m, enum dns_type type, const char *name)
{
    ns_rr rr;

    for (size_t i = 0; i < count_of(m, ns_s_an) && ret->n < DNS_ADDRS_MAX; i++) {
        if (ns_parserr(m, ns_s_an, (int)i, &rr) < 0)
            return -EINVAL;
        if (!is_of(&rr, (ns_type)type, name))
            continue;
        if (ns_rr_rdlen(rr) != (type == DNS_TYPE_A ? 4 : 16) ||
            addr_from_ip(&ret->addrs[ret->n], ns_rr_rdata(rr), ns_rr_rdlen(rr), 0) < 0)
            return -EINVAL;
        ret->n++;
        ret->ttl_s = fmin(ret->ttl_s, ns_rr_ttl(rr));
    }
    return 0;
}

/* A server that followed the alias and found no address of this type adds the zone's SOA (RFC 2308 2.2). A
 * server that did not follow it adds none. */
static bool has_soa(ns_msg *m)
{
    ns_rr rr;

    for (size_t i = 0; i < count_of(m, ns_s_ns); i++)
        if (ns_parserr(m, ns_s_ns, (int)i, &rr) == 0 && ns_rr_type(rr) == ns_t_soa)
            return true;
    return false;
}

/* A server that serves other clients only may refuse silently. Its answer is then empty, or names the servers
 * of the root or a zone. The name was not looked up then. */
static enum dns_says of_nothing(ns_msg *m)
{
    const uint8_t *head = ns_msg_base(*m);

    if (head[2] & AUTHORITATIVE || head[3] & RECURSION_AVAILABLE || has_soa(m))
        return DNS_SAYS_NO_DATA;
    return ns_msg_count(*m, ns_s_ns) > 0 ? DNS_SAYS_UNWILLING : DNS_SAYS_FAILED;
}

static int read_records(struct dns_reply *ret, ns_msg *m, enum dns_type type)
{
    char name[NS_MAXDNAME];
    ns_rr question;
    int aliases = 0, r;

    if (ns_parserr(m, ns_s_qd, 0, &question) < 0)
        return -EINVAL;
    (void)strcpy(name, ns_rr_name(question)); /* both have NS_MAXDNAME bytes */
    while ((r = next_alias(m, name, &ret->ttl_s)) > 0)
        if (++aliases > ALIASES_MAX)
            return -EINVAL;
    if (r == 0)
        r = take_addrs(ret, m, type, name);
    if (r < 0)
        return r;
    if (ret->n > 0) {
        ret->says = DNS_SAYS_ADDRESSES;
    } else if (aliases > 0 && strlen(name) < sizeof ret->alias && !has_soa(m)) {
        ret->says = DNS_SAYS_ALIAS;
        memcpy(ret->alias, name, strlen(name) + 1);
    } else if (ns_msg_count(*m, ns_s_an) == 0) {
        ret->says = of_nothing(m);
    }
    return 0;
}

void dns_reply_read(struct dns_reply *ret, const struct dns_query *q, const uint8_t *data, size_t len)
{
    ns_msg m;

    ret->says = DNS_SAYS_NOTHING;
    ret->truncated = false;
    ret->n = 0;
    ret->ttl_s = TTL_MAX_S;
    if (!answers_query(q, data, len))
        return;
    ret->says = of_code(data[3] & 0xf);
    if (ret->says != DNS_SAYS_NO_DATA)
        return;
    ret->truncated = data[2] & TRUNCATED;
    if (ns_initparse(data, (int)len, &m) < 0 || read_records(ret, &m, type_of(q)) < 0) {
        ret->says = DNS_SAYS_FAILED;
        ret->n = 0;
    }
    if (ret->truncated && ret->says == DNS_SAYS_NO_DATA)
        ret->says = DNS_SAYS_FAILED; /* the missing part may have the answer */
    if (ret->truncated)
        ret->ttl_s = 0;
}

bool dns_question_of(struct dns_query *ret, char name[DNS_NAME_SIZE], const uint8_t *data, size_t len)
{
    ns_msg m;
    ns_rr question;

    if (len > INT_MAX || ns_initparse(data, (int)len, &m) < 0 || ns_msg_count(m, ns_s_qd) != 1 ||
        ns_parserr(&m, ns_s_qd, 0, &question) < 0 || ns_rr_class(question) != ns_c_in)
        return false;
    int type = (int)ns_rr_type(question);
    if ((type != DNS_TYPE_A && type != DNS_TYPE_AAAA) || dns_name_length(ns_rr_name(question)) == 0)
        return false; /* such as one with escapes, which would be asked for as another name */
    (void)strcpy(name, ns_rr_name(question));
    if (dns_query_make(ret, name, (enum dns_type)type) < 0)
        return false;
    dns_query_set_id(ret, ns_msg_id(m));
    return true;
}
