#include "capture/capture_shape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int copy_rules(const struct capture_request *r, const struct capture_ground *g, char **ret)
{
    struct capture_ground without = *g;
    struct buf text;

    without.n_near = 0;
    buf_init(&text, CAPTURE_SCRIPT_MAX);
    int rc = capture_plan_table(r, &without, &text);
    if (rc == 0) {
        const struct slice all = buf_slice(&text);
        *ret = strndup(all.data, all.len);
        rc = *ret ? 0 : -ENOMEM;
    }
    buf_done(&text);
    return rc;
}

int capture_shape_of(const struct capture_request *r, const struct capture_ground *g,
                     struct capture_shape *ret)
{
    *ret = (struct capture_shape){.six = addr_family(&g->to6) != AF_UNSPEC};
    int rc = capture_plan_near(g, &ret->near);
    return rc == 0 ? copy_rules(r, g, &ret->rules) : rc;
}

enum capture_difference capture_shape_compare(const struct capture_shape *installed,
                                              const struct capture_shape *wanted)
{
    if (!installed->rules || !wanted->rules || strcmp(installed->rules, wanted->rules) != 0)
        return CAPTURE_OTHER_RULES;
    return capture_ranges_same(&installed->near, &wanted->near) ? CAPTURE_SAME : CAPTURE_OTHER_SETS;
}

void capture_shape_done(struct capture_shape *s)
{
    capture_ranges_done(&s->near);
    free(s->rules);
    *s = (struct capture_shape){.rules = NULL};
}
