#include "dns/dns_name.h"

#include "base/compiler.h"

#include <ctype.h>
#include <string.h>
#include <sys/random.h>

enum { NAME_MAX_BYTES = 253, LABEL_MAX_BYTES = 63 };

size_t dns_name_length(const char *name)
{
    size_t len = strlen(name), label = 0;

    if (len > 1 && name[len - 1] == '.')
        len--;
    if (len == 0 || len > NAME_MAX_BYTES)
        return 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c <= ' ' || c == 0x7f || c == '\\')
            return 0;
        if (c == '.' && label == 0)
            return 0;
        label = c == '.' ? 0 : label + 1;
        if (label > LABEL_MAX_BYTES)
            return 0;
    }
    return label > 0 ? len : 0;
}

/* Whether the name is `domain`, or below it. */
static bool is_within(struct slice name, const char *domain)
{
    size_t n = strlen(domain);

    if (name.len < n || !slice_ieq(slice_of(name.data + name.len - n, n), slice_str(domain)))
        return false;
    return name.len == n || name.data[name.len - n - 1] == '.';
}

bool dns_name_is_localhost(struct slice name)
{
    return is_within(name, "localhost");
}

bool dns_name_is_local(struct slice name)
{
    static const char *const domains[] = {"local", "lan",      "home",    "home.arpa",
                                          "corp",  "internal", "private", "intranet"};

    if (name.len > 1 && name.data[name.len - 1] == '.')
        name.len--;
    for (size_t i = 0; i < ARRAY_LEN(domains); i++)
        if (is_within(name, domains[i]))
            return true;
    return !memchr(name.data, '.', name.len);
}

bool dns_name_is_systems(struct slice name)
{
    if (name.len > 1 && name.data[name.len - 1] == '.')
        name.len--;
    return is_within(name, "local") || !memchr(name.data, '.', name.len);
}

/* A polynomial with a secret multiplier. Only the main thread hashes names. */
uint64_t dns_name_hash(struct slice name)
{
    static uint64_t seed[2];

    if (seed[1] == 0) {
        (void)!getrandom(seed, sizeof seed, 0); /* requests up to 256 bytes neither fail nor are cut short */
        seed[1] |= 1;
    }
    uint64_t h = seed[0];
    for (size_t i = 0; i < name.len; i++)
        h = (h ^ (uint64_t)tolower((unsigned char)name.data[i])) * seed[1];
    return h ^ h >> 32;
}
