#include "policy/policy.h"

#include "policy/policy_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *policy_proto_name(enum policy_proto p)
{
    switch (p) {
    case POLICY_SOCKS4:
        return "socks4";
    case POLICY_SOCKS5:
        return "socks5";
    case POLICY_CONNECT:
        return "connect";
    case POLICY_HTTP:
        return "http";
    }
    return "unknown";
}

static void options_done(struct policy_options *o)
{
    free((char *)(uintptr_t)o->file);
    free((char *)(uintptr_t)o->lua_dir);
    struct policy_param *params = (struct policy_param *)(uintptr_t)o->params;
    for (size_t i = 0; i < o->n_params; i++) {
        free(params[i].key);
        free(params[i].value);
    }
    free(params);
}

/* All text of it becomes our own. */
static int options_copy(struct policy_options *ret, const struct policy_options *from)
{
    struct policy_options o = *from;
    struct policy_param *params = calloc(from->n_params + 1, sizeof *params);
    o.file = strdup(from->file);
    o.lua_dir = strdup(from->lua_dir);
    o.params = params;
    o.n_params = 0;
    bool good = params && o.file && o.lua_dir;
    for (size_t i = 0; good && i < from->n_params; i++) {
        params[i].key = strdup(from->params[i].key);
        params[i].value = strdup(from->params[i].value);
        o.n_params = i + 1;
        good = params[i].key && params[i].value;
    }
    if (!good) {
        options_done(&o);
        return -ENOMEM;
    }
    *ret = o;
    return 0;
}

int policy_new(struct policy **ret, const struct policy_options *options, char *err)
{
    struct policy *p = calloc(1, sizeof *p);
    if (!p || options_copy(&p->options, options) < 0) {
        free(p);
        (void)snprintf(err, POLICY_ERROR_MAX, "out of memory");
        return -ENOMEM;
    }
    int rc = script_load(&p->script, &p->options, err);
    if (rc < 0) {
        policy_free(p);
        return rc;
    }
    p->generation = 1;
    *ret = p;
    return 0;
}

void policy_free(struct policy *p)
{
    if (!p)
        return;
    script_free(p->script);
    options_done(&p->options);
    free(p);
}

int policy_reload(struct policy *p, char *err)
{
    struct script *fresh;
    int rc = script_load(&fresh, &p->options, err);
    if (rc < 0)
        return rc;
    script_free(p->script);
    p->script = fresh;
    p->generation++;
    p->quarantined = false;
    memset(p->in_a_row, 0, sizeof p->in_a_row);
    p->complaints = (struct log_limit){0};
    return 0;
}

const char *policy_name(const struct policy *p)
{
    return p->script->name;
}

uint32_t policy_generation(const struct policy *p)
{
    return p->generation;
}

uint64_t policy_errors(const struct policy *p)
{
    return p->errors;
}

bool policy_quarantined(const struct policy *p)
{
    return p->quarantined;
}
