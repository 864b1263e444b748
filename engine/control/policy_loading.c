#include "control/policy_loading.h"

#include "base/clock.h"
#include "base/log.h"

void policy_loading_warn(const struct policy *p)
{
    const struct policy_unheeded *list;
    size_t n = policy_unheeded(p, &list);

    for (size_t i = 0; i < n; i++) {
        struct log_line l;
        log_begin(&l, LOG_WARN, "the policy does not heed a setting of uplinks");
        log_str(&l, "policy", policy_name(p));
        log_str(&l, "setting", list[i].setting);
        log_str(&l, "uplinks", list[i].uplinks);
        log_str(&l, "hint", list[i].hint);
        log_end(&l);
    }
}

void policy_loading_run(struct policy *p, const struct policy_source *source, const char *trigger,
                        struct loading_verdict *ret)
{
    double began_s = clock_now_s();
    struct log_line l;

    ret->err[0] = '\0';
    ret->loaded = (source ? policy_change(p, source, ret->err) : policy_reload(p, ret->err)) == 0;
    ret->took_s = clock_now_s() - began_s;
    if (ret->loaded) {
        log_begin(&l, LOG_INFO, "policy reloaded");
        log_str(&l, "policy", policy_name(p));
        log_u64(&l, "generation", policy_generation(p));
        log_num(&l, "seconds", ret->took_s);
    } else {
        log_begin(&l, LOG_ERROR, "policy not reloaded; the old one goes on");
        log_u64(&l, "generation", policy_generation(p));
        log_str(&l, "error", ret->err);
    }
    log_str(&l, "trigger", trigger);
    log_end(&l);
    if (ret->loaded)
        policy_loading_warn(p);
}
