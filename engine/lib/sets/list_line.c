#include "sets/list_line.h"

#include "sets/ascii_name.h"
#include "sets/name_set.h"

#include <arpa/inet.h>
#include <errno.h>

struct sink {
    list_item_fn *add;
    void *arg;
};

/* --- pieces of text ------------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct slice without_first(struct slice s, size_t n)
{
    return slice_of(s.data + n, s.len - n);
}

static struct slice trimmed(struct slice s)
{
    while (s.len > 0 && is_blank(s.data[0]))
        s = without_first(s, 1);
    while (s.len > 0 && is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

static bool starts(struct slice s, const char *with)
{
    size_t n = strlen(with);

    return s.len >= n && memcmp(s.data, with, n) == 0;
}

static struct slice up_to(struct slice s, char c)
{
    const char *at = s.len > 0 ? memchr(s.data, c, s.len) : NULL;

    return slice_of(s.data, at ? (size_t)(at - s.data) : s.len);
}

static size_t word_len(struct slice s)
{
    size_t n = 0;

    while (n < s.len && !is_blank(s.data[n]))
        n++;
    return n;
}

/* --- common to all lists -------------------------------------------------------------------------------- */

static bool begins_comment(struct slice s)
{
    return starts(s, "#") || starts(s, ";") || starts(s, "//");
}

static bool says_nothing(struct slice s)
{
    return s.len == 0 || begins_comment(s) || starts(s, "!") || starts(s, "[Adblock") ||
           slice_eq(s, slice_str("payload:")) || slice_eq(s, slice_str("---"));
}

static struct slice without_comment(struct slice s)
{
    for (size_t i = 1; i < s.len; i++)
        if (is_blank(s.data[i - 1]) && begins_comment(without_first(s, i)))
            return trimmed(slice_of(s.data, i));
    return s;
}

static struct slice unquoted(struct slice s)
{
    bool quoted = s.len >= 2 && (s.data[0] == '\'' || s.data[0] == '"') && s.data[s.len - 1] == s.data[0];

    return quoted ? slice_of(s.data + 1, s.len - 2) : s;
}

/* The line's content, without comment. In a YAML item, that is the text after the dash, without quotes. */
static struct slice content(struct slice line, bool *ret_yaml)
{
    struct slice s = without_comment(trimmed(line));

    *ret_yaml = starts(s, "- ");
    return *ret_yaml ? trimmed(unquoted(trimmed(without_first(s, 2)))) : s;
}

static bool is_too_long(struct slice line)
{
    size_t end = line.len > 0 && line.data[line.len - 1] == '\n';

    return line.len - end > LIST_LINE_MAX;
}

static bool is_one_of(struct slice word, const char *const *words)
{
    for (; *words; words++)
        if (slice_ieq(word, slice_str(*words)))
            return true;
    return false;
}

/* The second comma-separated field. */
static struct slice second_field(struct slice s)
{
    return trimmed(up_to(without_first(s, up_to(s, ',').len + 1), ','));
}

static const char *const RULES_OF_ALL[] = {"DOMAIN-SUFFIX", "HOST-SUFFIX", NULL};
static const char *const RULES_OF_ITSELF[] = {"DOMAIN", "HOST", NULL};
static const char *const RULES_OF_RANGES[] = {"IP-CIDR", "IP-CIDR6", "IP6-CIDR", NULL};

/* --- names ---------------------------------------------------------------------------------------------- */

/* Copy in lower case. @return false if a label is empty, or has a character that names cannot have */
static bool copy_plain(char *to, struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c + 'a' - 'A');
        bool dot = c == '.' && i > 0 && name.data[i - 1] != '.';
        if (!dot && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
        to[i] = c;
    }
    return name.len > 0 && to[name.len - 1] != '.';
}

static bool is_ascii(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.data[i] >= 0x80)
            return false;
    return true;
}

static int add_name(const struct sink *to, struct slice name, unsigned covers)
{
    char copy[NAME_SET_TEXT_MAX + 1], converted[NAME_SET_TEXT_MAX + 1];

    if (!is_ascii(name)) {
        int len = ascii_name(name, converted);
        if (len < 0)
            return LIST_LINE_UNKNOWN;
        name = slice_of(converted, (size_t)len);
    }
    if (name.len > 0 && name.data[name.len - 1] == '.')
        name.len--;
    if (name.len > NAME_SET_TEXT_MAX || !copy_plain(copy, name))
        return LIST_LINE_UNKNOWN;
    int r = to->add(to->arg, slice_of(copy, name.len), covers);
    return r == -EINVAL ? LIST_LINE_UNKNOWN : r < 0 ? r : LIST_LINE_TAKEN;
}

static bool is_address(struct slice word)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t ip[16];
    struct slice bare = up_to(word, '%');

    if (bare.len == 0 || bare.len >= sizeof text || memchr(bare.data, '\0', bare.len))
        return false;
    memcpy(text, bare.data, bare.len);
    text[bare.len] = '\0';
    return inet_pton(AF_INET, text, ip) == 1 || inet_pton(AF_INET6, text, ip) == 1;
}

/* "0.0.0.0 name name": each name is one host. */
static int hosts_line(const struct sink *to, struct slice rest)
{
    int worst = LIST_LINE_TAKEN;

    while (rest.len > 0) {
        struct slice word = slice_of(rest.data, word_len(rest));
        int r = is_address(word) ? LIST_LINE_TAKEN : add_name(to, word, NAME_ITSELF);
        if (r < 0)
            return r;
        worst = r > worst ? r : worst;
        rest = trimmed(without_first(rest, word.len));
    }
    return worst;
}

/* "||name^", also with options that do not narrow it. */
static int adblock_line(const struct sink *to, struct slice rest)
{
    static const char *const ends[] = {"^", "^|", "^$important", "^$all", "^$document", NULL};
    struct slice name = up_to(rest, '^');

    return is_one_of(without_first(rest, name.len), ends) ? add_name(to, name, NAME_ALL) : LIST_LINE_UNKNOWN;
}

/* The "/name/name/address" after "server=". */
static int dnsmasq_line(const struct sink *to, struct slice rest)
{
    int worst = LIST_LINE_UNKNOWN, r = LIST_LINE_TAKEN;

    rest = without_first(rest, 1);
    for (struct slice name = up_to(rest, '/'); name.len < rest.len; name = up_to(rest, '/')) {
        rest = without_first(rest, name.len + 1);
        r = add_name(to, starts(name, ".") ? without_first(name, 1) : name, NAME_ALL);
        if (r != LIST_LINE_TAKEN)
            return r;
        worst = LIST_LINE_TAKEN;
    }
    return worst;
}

static int rule_line(const struct sink *to, struct slice s)
{
    struct slice rule = up_to(s, ','), name = second_field(s);

    if (is_one_of(rule, RULES_OF_ALL))
        return add_name(to, name, NAME_ALL);
    if (is_one_of(rule, RULES_OF_ITSELF))
        return add_name(to, name, NAME_ITSELF);
    return is_one_of(rule, RULES_OF_RANGES) ? LIST_LINE_EMPTY : LIST_LINE_UNKNOWN;
}

static int one_word(const struct sink *to, struct slice s, unsigned usual)
{
    static const struct {
        const char *text;
        unsigned covers;
    } prefixes[] = {
        {"=", NAME_ITSELF}, {"+.", NAME_ALL},       {"*.", NAME_BELOW},
        {".", NAME_BELOW},  {"full:", NAME_ITSELF}, {"domain:", NAME_ALL},
    };

    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        if (starts(s, prefixes[i].text))
            return add_name(to, without_first(s, strlen(prefixes[i].text)), prefixes[i].covers);
    return add_name(to, s, usual);
}

static size_t dnsmasq_option(struct slice s)
{
    static const char *const options[] = {"server=", "address=", "local=", "ipset=", "nftset="};

    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        size_t n = strlen(options[i]);
        if (starts(s, options[i]) && s.len > n && s.data[n] == '/')
            return n;
    }
    return 0;
}

int list_line_names(struct slice line, list_item_fn *add, void *arg)
{
    const struct sink to = {.add = add, .arg = arg};
    bool yaml;

    if (is_too_long(line))
        return LIST_LINE_UNKNOWN;
    struct slice s = content(line, &yaml);
    size_t option = dnsmasq_option(s), word = word_len(s);

    if (says_nothing(s))
        return LIST_LINE_EMPTY;
    if (starts(s, "||"))
        return adblock_line(&to, without_first(s, 2));
    if (option > 0)
        return dnsmasq_line(&to, without_first(s, option));
    if (up_to(s, ',').len < s.len)
        return rule_line(&to, s);
    if (word == s.len)
        return one_word(&to, s, yaml ? NAME_ITSELF : NAME_ALL);
    return is_address(slice_of(s.data, word)) ? hosts_line(&to, trimmed(without_first(s, word)))
                                              : LIST_LINE_UNKNOWN;
}

/* --- ranges --------------------------------------------------------------------------------------------- */

int list_line_ranges(struct slice line, list_item_fn *add, void *arg)
{
    bool yaml;

    if (is_too_long(line))
        return LIST_LINE_UNKNOWN;
    struct slice s = content(line, &yaml);
    if (says_nothing(s))
        return LIST_LINE_EMPTY;
    if (up_to(s, ',').len < s.len) {
        struct slice rule = up_to(s, ',');
        if (is_one_of(rule, RULES_OF_ALL) || is_one_of(rule, RULES_OF_ITSELF))
            return LIST_LINE_EMPTY;
        if (!is_one_of(rule, RULES_OF_RANGES))
            return LIST_LINE_UNKNOWN;
        s = second_field(s);
    }
    int r = add(arg, s, 0);
    return r == -EINVAL ? LIST_LINE_UNKNOWN : r < 0 ? r : LIST_LINE_TAKEN;
}
