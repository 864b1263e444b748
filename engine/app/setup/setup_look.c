#include "setup/setup.h"

#include "base/units.h"
#include "machine/machine.h"
#include "uplink/discover.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static const unsigned PORT = 1080;

/* Lines of this kind mostly have a volume that costs money. A phone by USB is one as well. */
static bool looks_metered(const struct machine_link *link)
{
    return strcmp(link->kind, "wwan") == 0 || strncmp(link->name, "ww", 2) == 0 ||
           strncmp(link->name, "usb", 3) == 0;
}

static void describe(struct setup_link *l, const struct machine *m, const struct machine_link *link)
{
    char text[ADDR_TEXT_MAX], gateway[ADDR_TEXT_MAX];
    const struct addr *source = machine_source(m, link->index, AF_INET);
    const struct addr *by = &link->gateway4;

    if (!source) {
        source = machine_source(m, link->index, AF_INET6);
        by = &link->gateway6;
    }
    if (!source)
        return;
    bool has_gateway = addr_family(by) != AF_UNSPEC;
    (void)snprintf(l->about, sizeof l->about, "%s%s%s", addr_format_ip(source, text),
                   has_gateway ? ", by the router " : "", has_gateway ? addr_format_ip(by, gateway) : "");
}

void setup_look(struct setup *ret, const struct machine *m)
{
    *ret = (struct setup){.port = PORT};
    for (size_t i = 0; i < m->n_links && ret->n_links < SETUP_LINKS_MAX; i++) {
        const struct machine_link *link = &m->links[i];
        const char *objection = discover_objection(m, link);
        struct setup_link *l = &ret->links[ret->n_links];
        if (link->loopback)
            continue;
        *l = (struct setup_link){.usable = !objection, .wanted = !objection, .backup = looks_metered(link)};
        (void)snprintf(l->name, sizeof l->name, "%s", link->name);
        (void)snprintf(l->about, sizeof l->about, "%s", objection ? objection : "");
        if (!objection)
            describe(l, m, link);
        ret->n_links++;
    }
}

struct setup_link *setup_link(struct setup *s, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < s->n_links; i++)
        if (strcmp(s->links[i].name, name) == 0)
            return &s->links[i];
    /* The kernel's rule, and no byte that Lua's texts would need to escape. */
    if (len == 0 || len >= IFNAMSIZ || s->n_links == SETUP_LINKS_MAX || strpbrk(name, "/: \t\n\r\v\f\"\\@,"))
        return NULL;
    struct setup_link *l = &s->links[s->n_links++];
    *l = (struct setup_link){.about = "this machine does not have it now"};
    memcpy(l->name, name, len + 1);
    return l;
}

void setup_want_none(struct setup *s)
{
    for (size_t i = 0; i < s->n_links; i++)
        s->links[i].wanted = false;
    s->chosen = true;
}

bool setup_set_quota(struct setup_link *link, const char *text)
{
    double bytes;
    size_t len = strlen(text);

    if (len >= sizeof link->quota || !units_parse(text, &bytes) || bytes < 1)
        return false;
    memcpy(link->quota, text, len + 1);
    return true;
}
