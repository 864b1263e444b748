#include "inbound/proxy_listener.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void proxy_listener_free(struct proxy_listener *l)
{
    free((void *)(uintptr_t)l->use.setting);
    free(l);
}

struct proxy_listener *proxy_listener_new(struct proxy *p, const struct listen_place *place,
                                          const struct proxy_use *use)
{
    struct proxy_listener *l = calloc(1, sizeof *l);
    void *setting = use->setting_size > 0 ? malloc(use->setting_size) : NULL;

    if (!l || (use->setting_size > 0 && !setting)) {
        free(l);
        free(setting);
        return NULL;
    }
    if (setting)
        memcpy(setting, use->setting, use->setting_size);
    *l = (struct proxy_listener){
        .proxy = p, .place = *place, .asked = *place, .use = *use, .listener = {.absent = true}};
    l->use.setting = setting;
    return l;
}

int proxy_listener_change(struct proxy_listener *l, const struct proxy_use *use)
{
    struct proxy_use next = *use;

    if (use->setting_size > 0) {
        next.setting = malloc(use->setting_size);
        if (!next.setting)
            return -ENOMEM;
        memcpy((void *)(uintptr_t)next.setting, use->setting, use->setting_size);
    }
    free((void *)(uintptr_t)l->use.setting);
    l->use = next;
    loops_unlisten(&l->proxy->outbounds.loops, &l->listener.addr);
    loops_listen(&l->proxy->outbounds.loops, &l->listener.addr, next.front);
    return 0;
}

void proxy_listener_leave(struct proxy_listener *l)
{
    assert(l->clients > 0);
    if (--l->clients > 0 || !l->removed)
        return;
    list_remove(&l->node);
    proxy_listener_free(l);
}
