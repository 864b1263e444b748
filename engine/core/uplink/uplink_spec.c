#include "uplink/uplink_spec.h"

#include "uplink/parent_spec.h"

#include "base/host_port.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Far above any useful weight, and small enough that sums of weights stay exact. */
static const double WEIGHT_MAX = 1e6;
/* A sensible number is shorter. The copy is needed to add a NUL. */
enum { WEIGHT_TEXT_MAX = 32 };

/* Digits, a point, an exponent. strtod also accepts "inf", "nan", "0x10" and leading blanks. */
static int parse_weight(struct slice text, double *ret)
{
    char copy[WEIGHT_TEXT_MAX], *end;

    if (text.len == 0 || text.len >= sizeof copy)
        return -EINVAL;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (strspn(copy, "0123456789.eE+-") != text.len)
        return -EINVAL;
    double weight = strtod(copy, &end);
    if (*end != '\0' || !(weight > 0 && weight <= WEIGHT_MAX))
        return -EINVAL;
    *ret = weight;
    return 0;
}

/* As the kernel's dev_valid_name; an alternative name may be longer than IFNAMSIZ. */
static bool is_interface_name(struct slice name)
{
    if (name.len == 0 || name.len >= MACHINE_NAME_SIZE || slice_eq(name, slice_str(".")) ||
        slice_eq(name, slice_str("..")))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] == '/' || name.data[i] == ':' || isspace((unsigned char)name.data[i]))
            return false;
    }
    return true;
}

/* Whether the user probably meant an address. */
static bool is_meant_as_address(struct slice name)
{
    size_t others = 0;

    if (memchr(name.data, ':', name.len) || name.data[0] == '[')
        return true;
    for (size_t i = 0; i < name.len; i++)
        others += name.data[i] != '.' && name.data[i] != ',' && !isdigit((unsigned char)name.data[i]);
    return others == 0;
}

/* Why packets cannot have this source; NULL if they can. An unspecified address would bind nothing. */
static const char *source_objection(const struct addr *a)
{
    if (addr_family(a) == AF_INET) {
        uint32_t ip = ntohl(a->in4.sin_addr.s_addr);
        if (ip >> 24 == 0)
            return "stands for no address in particular";
        return ip >= 0xe0000000u ? "is not an address of one machine" : NULL; /* 224.0.0.0 and up */
    }
    const struct in6_addr *ip = &a->in6.sin6_addr;
    if (IN6_IS_ADDR_UNSPECIFIED(ip))
        return "stands for no address in particular";
    if (IN6_IS_ADDR_MULTICAST(ip))
        return "is not an address of one machine";
    return IN6_IS_ADDR_LINKLOCAL(ip) ? "reaches no further than its own link" : NULL;
}

enum { HINT_MAX = 256 };

static const char COMMA_HINT[] = "; uplinks are separate words, without commas";

/* A guess at the intention behind text that is neither a name nor an address: "eth0:7" for "eth0@7", or a
 * proxy. @return out, empty without a guess */
static const char *hint_for(struct slice name, char out[HINT_MAX])
{
    const struct host_port split = host_port_split(name);
    struct slice place = split.place, number = split.port;
    bool is_host = place.len > 0 && (split.bracketed || !memchr(place.data, ':', place.len));

    out[0] = '\0';
    if (memchr(name.data, ',', name.len))
        (void)snprintf(out, HINT_MAX, "%s", COMMA_HINT);
    else if (is_host && number.len > 0 && strspn(number.data, "0123456789.") >= number.len)
        (void)snprintf(out, HINT_MAX, "; with a weight: %.*s@%.*s; as a parent proxy: socks5://%.*s",
                       (int)place.len, place.data, (int)number.len, number.data, (int)name.len, name.data);
    return out;
}

static int parse_address(struct addr *ret, struct slice name, const char *text, char *err, size_t err_size)
{
    char hint[HINT_MAX];
    struct addr a;

    if (memchr(name.data, '%', name.len) || addr_parse_ip(&a, name, 0) < 0) {
        (void)snprintf(err, err_size,
                       "uplink \"%s\": \"%.*s\" is neither an interface's name nor an IP address such as "
                       "192.0.2.1 or 2001:db8::1%s",
                       text, (int)name.len, name.data, hint_for(name, hint));
        return -EINVAL;
    }
    const char *objection = source_objection(&a);
    if (objection) {
        (void)snprintf(err, err_size,
                       "uplink \"%s\": \"%.*s\" %s; expected an address of this machine, or an interface",
                       text, (int)name.len, name.data, objection);
        return -EINVAL;
    }
    *ret = a;
    return 0;
}

static int parse_name(struct uplink_spec *ret, struct slice name, const char *text, char *err,
                      size_t err_size)
{
    if (name.len == 0) {
        (void)snprintf(err, err_size, "uplink \"%s\": expected INTERFACE or ADDRESS, then perhaps @WEIGHT",
                       text);
        return -EINVAL;
    }
    if (is_meant_as_address(name)) {
        ret->kind = UPLINK_ADDRESS;
        return parse_address(&ret->address, name, text, err, err_size);
    }
    if (!is_interface_name(name)) {
        (void)snprintf(err, err_size,
                       "uplink \"%s\": \"%.*s\" cannot be an interface's name: expected 1 to %d characters "
                       "without blanks",
                       text, (int)name.len, name.data, MACHINE_NAME_SIZE - 1);
        return -EINVAL;
    }
    ret->kind = UPLINK_INTERFACE;
    memcpy(ret->interface, name.data, name.len);
    return 0;
}

/* Text such as host:port; user:password rarely does. */
static bool ends_with_port(struct slice text)
{
    size_t digits = 0;

    while (digits < text.len && isdigit((unsigned char)text.data[text.len - digits - 1]))
        digits++;
    return digits > 0 && digits < text.len && text.data[text.len - digits - 1] == ':';
}

/* The length without the weight, which follows host and port after an @ or /. */
static size_t url_length(const char *text)
{
    const char *place = strstr(text, "://") + 3, *at = strrchr(place, '@');

    if (at && !strchr(at, ':') && ends_with_port(slice_of(place, (size_t)(at - place))))
        return (size_t)(at - text);
    const char *behind = at ? at : place, *slash = strchr(behind, '/');
    return slash ? (size_t)(slash - text) : strlen(text);
}

static int parse_parent(struct uplink_spec *ret, const char *text, char *err, size_t err_size)
{
    struct parent_spec parent;
    size_t len = url_length(text);
    const char *why;

    if (text[len] && text[len + 1] && parse_weight(slice_str(text + len + 1), &ret->weight) < 0)
        why = "the weight behind it must be a number above 0 and at most 1000000";
    else if (parent_spec_parse(&parent, slice_of(text, len), &why) == 0) {
        ret->kind = UPLINK_PARENT;
        ret->parent = malloc(sizeof *ret->parent);
        if (ret->parent)
            *ret->parent = parent;
        parent_spec_done(&parent);
        return ret->parent ? 0 : -ENOMEM;
    }
    (void)snprintf(err, err_size, "uplink \"%.*s://…\": %s", (int)(strstr(text, "://") - text), text, why);
    return -EINVAL;
}

static bool is_scheme(const char *text)
{
    return strncasecmp(text, "socks", 5) == 0 || strncasecmp(text, "http", 4) == 0;
}

/* A weight with a typing error, "7:". After the @ of a URL's user and password more follows. */
static bool is_weight_with_slip(const char *text)
{
    size_t digits = strspn(text, "0123456789.");

    return digits > 0 && text[digits] && text[digits + strspn(text + digits, ":,;")] == '\0';
}

/* Whether the text may be a URL with a password in it. Such text starts with a scheme, or has no weight after
 * its last @. */
static bool is_meant_as_url(const char *text)
{
    const char *at = strrchr(text, '@');
    double weight;

    if (at && !memchr(text, ':', (size_t)(at - text)) && is_weight_with_slip(at + 1))
        return false;
    return is_scheme(text) || (at && strchr(text, ':') && parse_weight(slice_str(at + 1), &weight) < 0);
}

static int parse_local(struct uplink_spec *ret, const char *text, char *err, size_t err_size)
{
    size_t len = strcspn(text, "@/");
    int r = parse_name(ret, slice_of(text, len), text, err, err_size);

    ret->slashed = text[len] == '/';
    if (r < 0 || text[len] == '\0' || parse_weight(slice_str(text + len + 1), &ret->weight) == 0)
        return r;
    const char *weight = text + len + 1, *comma = strchr(weight, ',');
    if (!*weight)
        (void)snprintf(err, err_size,
                       "uplink \"%s\": a weight is missing after \"%c\": write %.*s@7, or %.*s alone", text,
                       text[len], (int)len, text, (int)len, text);
    else if (is_weight_with_slip(weight))
        (void)snprintf(err, err_size, "uplink \"%s\": the weight \"%s\" must be a number: remove \"%s\"",
                       text, weight, weight + strspn(weight, "0123456789."));
    else
        (void)snprintf(
            err, err_size, "uplink \"%s\": the weight \"%s\" must be a number above 0 and at most %.0f%s",
            text, weight, WEIGHT_MAX, comma && comma[1 + strspn(comma + 1, "0123456789")] ? COMMA_HINT : "");
    return -EINVAL;
}

int uplink_spec_parse(struct uplink_spec *ret, const char *text, char *err, size_t err_size)
{
    struct uplink_spec spec = {.weight = 1, .tier = 1};
    bool is_url = strstr(text, "://") != NULL;
    int r = is_url ? parse_parent(&spec, text, err, err_size) : parse_local(&spec, text, err, err_size);

    if (r == -EINVAL && !is_url && is_meant_as_url(text))
        (void)snprintf(err, err_size,
                       "uplink \"%.*s…\": expected socks5://, socks4a:// or http://, then "
                       "[USER:PASSWORD@]HOST:PORT; or an interface or address, then perhaps @WEIGHT",
                       (int)(is_scheme(text) ? strcspn(text, ":/@") : 0), text);
    if (r < 0)
        return r;
    *ret = spec;
    return 0;
}

const char *uplink_spec_name(const struct uplink_spec *spec, char out[UPLINK_NAME_MAX + 1])
{
    char text[PARENT_TEXT_MAX];

    if (spec->name[0])
        return spec->name;
    if (spec->kind == UPLINK_INTERFACE)
        return spec->interface;
    if (spec->kind == UPLINK_ADDRESS)
        (void)addr_format_ip(&spec->address, text);
    else
        (void)parent_spec_format(spec->parent, text);
    const char *place = strstr(text, "://");
    (void)snprintf(out, UPLINK_NAME_MAX + 1, "%.*s", UPLINK_NAME_MAX, place ? place + 3 : text);
    return out;
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_parent(const struct parent_spec *a, const struct parent_spec *b)
{
    if (!a || !b)
        return a == b;
    return strcmp(a->scheme, b->scheme) == 0 && strcmp(a->host, b->host) == 0 && a->port == b->port &&
           strcmp(a->user, b->user) == 0 && strcmp(a->pass, b->pass) == 0;
}

static bool same_tags(const struct uplink_spec *a, const struct uplink_spec *b)
{
    for (size_t i = 0; i < a->n_tags && a->n_tags == b->n_tags; i++)
        if (strcmp(a->tags[i], b->tags[i]) != 0)
            return false;
    return a->n_tags == b->n_tags;
}

static bool same_addr(const struct addr *a, const struct addr *b)
{
    return addr_family(a) == addr_family(b) && (addr_family(a) == AF_UNSPEC || addr_same_ip(a, b));
}

bool uplink_spec_same_way(const struct uplink_spec *a, const struct uplink_spec *b)
{
    return a->kind == b->kind && strcmp(a->name, b->name) == 0 && strcmp(a->interface, b->interface) == 0 &&
           same_addr(&a->address, &b->address) && same_parent(a->parent, b->parent) && same_tags(a, b) &&
           same_addr(&a->gateway4, &b->gateway4) && same_addr(&a->gateway6, &b->gateway6) &&
           a->mark == b->mark && a->ipv6_given == b->ipv6_given && a->ipv6 == b->ipv6 &&
           dns_servers_same(&a->dns, &b->dns) && same_text(a->check, b->check) &&
           same_text(a->portal, b->portal);
}

void uplink_spec_done(struct uplink_spec *spec)
{
    for (size_t i = 0; i < spec->n_tags; i++)
        free(spec->tags[i]);
    free(spec->check);
    free(spec->portal);
    if (spec->parent)
        parent_spec_done(spec->parent);
    free(spec->parent);
    *spec = (struct uplink_spec){.n_tags = 0};
}
