/* The script that tells browsers to use this proxy: GET /proxy.pac, and /wpad.dat, where browsers look that
 * find their proxy by themselves. It is the proxy's own page, for all clients that may use it, without a
 * login, as browsers fetch the script without one.
 *
 * The script names the proxy by the Host of the request, by which the browser has reached it. It fails
 * closed: without the proxy a browser reaches only what the script exempts. It never resolves a name, since
 * the question would leave by a way that the policy did not choose. */
#ifndef STEERWAY_HTTP_PAC_H
#define STEERWAY_HTTP_PAC_H

#include "addr/addr.h"
#include "inbound/session.h"
#include "proto/http_head.h"

/* Names and ranges that the configuration may list. */
enum { PAC_BYPASS_MAX = 1000 };

/** What browsers reach without the proxy. Zeroes: what is local. */
struct pac {
    char *names; /* that go direct, with all below them, as JavaScript: "a.example","b.example"; NULL: none */
    size_t n_names;
    struct cidr_set ranges; /* likewise, for addresses in URLs */
    bool no_local;          /* not even this machine and its neighbours */
    bool fall_back;         /* all goes direct while the proxy does not answer */
};

/** Add a name, such as "intranet.example" or "*.intranet.example", which mean the same, or a range.
 *  @return 0, -EINVAL, -ENOSPC, -ENOMEM */
MUST_CHECK int pac_add(struct pac *p, struct slice text);
void pac_done(struct pac *p);

/** Whether a request of a web server's client asks for the script. */
bool pac_is_asked(const struct http_head *head);

/** Answer with the script, and end the connection: a browser asks once. So nobody can ask for it without end
 * on one connection. */
void pac_answer(struct session *s, const struct http_head *head);

#endif
