#include "setup/setup.h"

#include <stdlib.h>

static size_t count(const struct setup *s, bool backup)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_links; i++)
        n += s->links[i].wanted && s->links[i].backup == backup;
    return n;
}

static bool any_quota(const struct setup *s)
{
    for (size_t i = 0; i < s->n_links; i++)
        if (s->links[i].wanted && s->links[i].quota[0])
            return true;
    return false;
}

static void print_listen(FILE *f, const struct setup *s)
{
    if (!s->network) {
        (void)fprintf(f,
                      "  -- Where programs of this machine connect, by SOCKS or HTTP. \"*:%u\" serves other "
                      "machines, too.\n"
                      "  listen = \"localhost:%u\",\n",
                      s->port, s->port);
        return;
    }
    (void)fprintf(
        f,
        "  -- Where programs of this machine and of its networks connect, by SOCKS or HTTP. Clients with "
        "public\n"
        "  -- addresses are refused, unless allow says more.\n"
        "  listen = \"*:%u\",\n\n"
        "  -- Who may connect. Without it, clients with private addresses.\n"
        "  -- allow = { \"192.168.1.0/24\" },\n\n"
        "  -- A file with a line USER:PASS for each user; without it, no login is asked for.\n"
        "  -- auth_file = \"users\",\n",
        s->port);
}

static void print_uplink(FILE *f, const struct setup_link *l)
{
    (void)fprintf(f, "    -- %s\n    { interface = \"%s\"", l->about[0] ? l->about : "up", l->name);
    if (l->backup)
        (void)fputs(", tier = 2, tags = { \"metered\" }", f);
    if (l->quota[0])
        (void)fprintf(f, ", quota = \"%s\"", l->quota);
    (void)fputs(" },\n", f);
}

static void print_uplinks(FILE *f, const struct setup *s)
{
    size_t backups = count(s, true), mains = count(s, false);

    if (!s->chosen && backups == 0 && !any_quota(s)) {
        (void)fputs(
            "  -- All usable links serve, also those that are plugged in later. To choose, name them:\n"
            "  -- uplinks = {\n",
            f);
        for (size_t i = 0; i < s->n_links; i++)
            if (s->links[i].wanted)
                (void)fprintf(f, "  --   { interface = \"%s\", weight = 1 },\n", s->links[i].name);
        if (mains == 0)
            (void)fputs("  --   { interface = \"eth0\", weight = 1 },\n", f);
        (void)fputs("  -- },\n", f);
        return;
    }
    (void)fputs(
        "  -- The uplinks. A tier above 1 is for failover and quota; weight = 3 gives one three times as "
        "much.\n"
        "  uplinks = {\n",
        f);
    for (size_t i = 0; i < s->n_links; i++)
        if (s->links[i].wanted)
            print_uplink(f, &s->links[i]);
    (void)fputs("  },\n", f);
}

static void print_policy(FILE *f, const struct setup *s)
{
    if (any_quota(s))
        (void)fputs("  -- Uplinks within their quota first, of those the lowest tier.\n"
                    "  policy = \"quota\",\n",
                    f);
    else if (count(s, true) > 0 && count(s, false) > 0)
        (void)fputs("  -- The backup serves when no other uplink works.\n"
                    "  policy = \"failover\",\n",
                    f);
    else
        (void)fputs("  -- How uplinks are chosen. fair_share learns what each can carry. man steerway-policy "
                    "has all.\n"
                    "  policy = \"fair_share\",\n",
                    f);
}

char *setup_text(const struct setup *s, const char *file)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    if (!f)
        return NULL;
    (void)fprintf(f,
                  "-- A config of Steerway, made by steerway init. steerway.conf(5) describes all keys.\n"
                  "--\n"
                  "--   steerway check --config %s\n"
                  "--   steerway start --config %s\n\n"
                  "return {\n",
                  file, file);
    print_listen(f, s);
    (void)fputc('\n', f);
    print_policy(f, s);
    (void)fputc('\n', f);
    print_uplinks(f, s);
    (void)fputs("\n  -- Destinations that are refused.\n"
                "  -- deny = { \"*:25\" },\n"
                "}\n",
                f);
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
