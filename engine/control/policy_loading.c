#include "control/policy_loading.h"

#include "base/clock.h"
#include "base/log.h"

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
}
