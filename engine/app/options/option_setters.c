#include "options/option_setters.h"

#include "options/option_text.h"

#include "dns/dns_servers.h"
#include "health/checks.h"
#include "log/log_to.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double TIMEOUT_MAX_S = 86400; /* a day */
static const double TIMEOUT_MIN_S = 0.1;   /* a shorter time fails on distant lines */

/* --- who may use it ------------------------------------------------------------------------------------- */

int option_set_auth(struct config *c, const char *value, char *err)
{
    switch (access_add_user(&c->access, slice_str(value))) {
    case 0:
        return 0;
    case -EEXIST:
        return config_refuse(err, "this user was given before");
    case -ENOMEM:
        return option_no_memory(err);
    default: /* the value is not shown: it may be a password */
        return config_refuse(
            err, "expected USER:PASS, the user 1 to 255 bytes without ':', the password 255 at most");
    }
}

int option_set_auth_file(struct config *c, const char *value, char *err)
{
    if (!*value)
        return config_refuse(err, "expected the name of a file");
    size_t before = c->access.n_users;
    int r = access_add_file(&c->access, value, err, CONFIG_ERROR_MAX);

    /* An empty users file would serve every client, although the user wants passwords. */
    if (r == 0 && c->access.n_users == before)
        return config_refuse(err, "%s: the file has no users (expected lines of USER:PASS)", value);
    return r;
}

static int allow_part(struct config *c, struct slice text, char *err)
{
    return option_add_range(&c->access.clients, text, err);
}

int option_set_allow(struct config *c, const char *value, char *err)
{
    c->allow_given = true;
    return option_each_part(c, value, err, allow_part);
}

static int deny_part(struct config *c, struct slice text, char *err)
{
    int r = deny_add_place(&c->deny, text);

    return r == -EINVAL ? option_not_a(err, text, DENY_EXPECTED) : r < 0 ? option_no_memory(err) : 0;
}

int option_set_deny(struct config *c, const char *value, char *err)
{
    return option_each_part(c, value, err, deny_part);
}

int option_set_allow_own_addresses(struct config *c, const char *value, char *err)
{
    (void)value;
    (void)err;
    c->own_addresses = true;
    return 0;
}

static int bind_from_part(struct config *c, struct slice text, char *err)
{
    return option_add_range(&c->bind_from, text, err);
}

int option_set_bind_from(struct config *c, const char *value, char *err)
{
    c->bind_from_given = true;
    if (strcmp(value, "none") == 0) {
        cidr_set_done(&c->bind_from);
        return 0;
    }
    return option_each_part(c, value, err, bind_from_part);
}

/* --- which way traffic goes ----------------------------------------------------------------------------- */

int option_set_policy(struct config *c, const char *value, char *err)
{
    free(c->policy_from);
    c->policy_from = NULL;
    return option_replace_text(&c->policy, value, err);
}

int option_set_param(struct config *c, const char *value, char *err)
{
    const char *equals = strchr(value, '=');

    if (!equals || equals == value)
        return option_not_a(err, slice_str(value), "KEY=VALUE");
    int r = config_set_param(c, slice_of(value, (size_t)(equals - value)), slice_str(equals + 1));
    return r < 0 ? option_no_memory(err) : 0;
}

static int bypass_part(struct config *c, struct slice text, char *err)
{
    return option_add_range(&c->bypass, text, err);
}

int option_set_bypass(struct config *c, const char *value, char *err)
{
    c->bypass_default = false;
    if (strcmp(value, "none") == 0) {
        cidr_set_done(&c->bypass);
        return 0;
    }
    return option_each_part(c, value, err, bypass_part);
}

static int check_dns_server(struct config *c, struct slice text, char *err)
{
    struct addr a;

    (void)c;
    if (dns_servers_parse_one(&a, text) < 0)
        return option_not_a(
            err, text, "a DNS server (an address such as 192.0.2.53, 192.0.2.53:5353, [2001:db8::53]:53)");
    return 0;
}

int option_set_dns(struct config *c, const char *value, char *err)
{
    char *joined = NULL;
    int r = option_each_part(c, value, err, check_dns_server);

    if (r < 0)
        return r;
    const char *before = c->dns_servers ? c->dns_servers : "";
    if (asprintf(&joined, "%s%s%s", before, *before ? "," : "", value) < 0)
        return option_no_memory(err);
    struct dns_servers all;
    if (dns_servers_parse(&all, joined) == -E2BIG) {
        free(joined);
        return config_refuse(err, "more than %d servers", DNS_SERVERS_MAX);
    }
    free(c->dns_servers);
    c->dns_servers = joined;
    return 0;
}

static int check_target(struct config *c, struct slice text, char *err)
{
    struct probe_target t;

    (void)c;
    if (slice_eq(text, slice_str("none")) || probe_target_parse(&t, text) != PARSE_OK)
        return option_not_a(err, text,
                            "a target (such as 192.0.2.1:443, example.org:443 or http://example.org/204)");
    return 0;
}

int option_set_check(struct config *c, const char *value, char *err)
{
    struct checks_targets all;
    char *joined = NULL;
    const char *before = c->check && strcmp(c->check, "none") != 0 ? c->check : "";
    bool none = strcmp(value, "none") == 0;
    int r = none ? 0 : option_each_part(c, value, err, check_target);

    if (r < 0)
        return r;
    if (asprintf(&joined, "%s%s%s", none ? "" : before, !none && *before ? "," : "", value) < 0)
        return option_no_memory(err);
    if (checks_targets_parse(&all, joined) < 0) {
        free(joined);
        return config_refuse(err, "more than %d targets", CHECKS_TARGETS_MAX);
    }
    free(c->check);
    c->check = joined;
    return 0;
}

int option_set_fast_open(struct config *c, const char *value, char *err)
{
    (void)value;
    (void)err;
    c->fast_open = true;
    return 0;
}

int option_set_ipv6_source(struct config *c, const char *value, char *err)
{
    if (egress_ipv6_parse(value, &c->ipv6_source))
        return 0;
    return option_not_a(err, slice_str(value), "one of system, temporary, stable");
}

int option_set_data_dir(struct config *c, const char *value, char *err)
{
    return option_replace_text(&c->data_dir, value, err);
}

/* --- looking in, and being looked at ----------------------------------------------------------------------
 */

int option_set_control(struct config *c, const char *value, char *err)
{
    if (strcmp(value, "none") != 0 && !strchr(value, '/'))
        return config_refuse(err, "expected a path, such as /run/steerway/control.sock, or none");
    return option_replace_text(&c->control, value, err);
}

int option_set_state(struct config *c, const char *value, char *err)
{
    if (!*value)
        return config_refuse(err, "expected a path, such as /var/lib/steerway/state.json, or none");
    return option_replace_text(&c->state, value, err);
}

int option_set_no_watch(struct config *c, const char *value, char *err)
{
    (void)value;
    (void)err;
    c->no_watch = true;
    return 0;
}

int option_set_no_jit(struct config *c, const char *value, char *err)
{
    (void)value;
    (void)err;
    c->no_jit = true;
    return 0;
}

int option_set_record(struct config *c, const char *value, char *err)
{
    return option_replace_text(&c->record, value, err);
}

/* --- times ---------------------------------------------------------------------------------------------- */

static int set_seconds(double *seconds, const char *value, double min, char *err)
{
    char *end = NULL;
    /* Digits and a point only: strtod would also take "inf", "nan", "0x1p3" and leading blanks. */
    bool plain = *value && value[strspn(value, "0123456789.")] == '\0';
    double s = plain ? strtod(value, &end) : 0;

    if (!plain || *end || s < min || s > TIMEOUT_MAX_S)
        return config_refuse(err, "'%.*s' is not a time in seconds (%g to %g)", OPTION_SHOWN_MAX, value, min,
                             TIMEOUT_MAX_S);
    *seconds = s;
    return 0;
}

int option_set_dial_timeout(struct config *c, const char *value, char *err)
{
    return set_seconds(&c->dial_timeout_s, value, TIMEOUT_MIN_S, err);
}

int option_set_bind_timeout(struct config *c, const char *value, char *err)
{
    return set_seconds(&c->bind_timeout_s, value, TIMEOUT_MIN_S, err);
}

int option_set_hedge(struct config *c, const char *value, char *err)
{
    return set_seconds(&c->hedge_s, value, 0, err);
}

int option_set_check_interval(struct config *c, const char *value, char *err)
{
    return set_seconds(&c->check_interval_s, value, 1, err);
}

int option_set_handshake_timeout(struct config *c, const char *value, char *err)
{
    return set_seconds(&c->handshake_timeout_s, value, TIMEOUT_MIN_S, err);
}

int option_set_cut_after(struct config *c, const char *value, char *err)
{
    return set_seconds(&c->cut_after_s, value, 0, err);
}

int option_set_ack_timeout(struct config *c, const char *value, char *err)
{
    return set_seconds(&c->ack_timeout_s, value, 0, err);
}

int option_set_idle_timeout(struct config *c, const char *value, char *err)
{
    return set_seconds(&c->idle_timeout_s, value, TIMEOUT_MIN_S, err);
}

int option_set_peek_timeout(struct config *c, const char *value, char *err)
{
    return set_seconds(&c->peek_timeout_s, value, 0, err);
}

int option_set_udp_idle(struct config *c, const char *value, char *err)
{
    return set_seconds(&c->udp.idle_s, value, UDP_IDLE_MIN_S, err);
}

int option_set_drain_timeout(struct config *c, const char *value, char *err)
{
    c->drain_timeout_set = true;
    return set_seconds(&c->drain_timeout_s, value, 0, err);
}

int option_set_threads(struct config *c, const char *value, char *err)
{
    size_t digits = strspn(value, "0123456789");

    if (digits == 0 || digits > 3 || value[digits] || atoi(value) > CONFIG_THREADS_MAX)
        return config_refuse(err, "'%.*s' is not a number of threads (0 to %d)", OPTION_SHOWN_MAX, value,
                             CONFIG_THREADS_MAX);
    c->threads = atoi(value);
    return 0;
}

/* --- output --------------------------------------------------------------------------------------------- */

int option_set_debug(struct config *c, const char *value, char *err)
{
    (void)value;
    (void)err;
    c->log_level = LOG_DEBUG;
    return 0;
}

int option_set_quiet(struct config *c, const char *value, char *err)
{
    (void)value;
    (void)err;
    c->log_level = LOG_WARN;
    return 0;
}

int option_set_run_as(struct config *c, const char *value, char *err)
{
    const char *colon = strchr(value, ':');

    if (!*value || colon == value || (colon && (!colon[1] || strchr(colon + 1, ':'))))
        return option_not_a(err, slice_str(value), "USER or USER:GROUP");
    return option_replace_text(&c->run_as, value, err);
}

int option_set_log_to(struct config *c, const char *value, char *err)
{
    if (!log_to_is_word(value) && !strchr(value, '/'))
        return option_not_a(err, slice_str(value), "stderr, journal, syslog, or a path with a '/'");
    return option_replace_text(&c->log_to, value, err);
}

int option_set_log_format(struct config *c, const char *value, char *err)
{
    if (strcmp(value, "text") == 0)
        c->log_format = LOG_TEXT;
    else if (strcmp(value, "json") == 0)
        c->log_format = LOG_JSON;
    else
        return option_not_a(err, slice_str(value), "text or json");
    return 0;
}
