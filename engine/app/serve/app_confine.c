#include "serve/app_confine.h"

#include "confine/confine.h"
#include "confine/confine_rights.h"
#include "control/control_path.h"
#include "keep/state_file.h"
#include "log/log_to.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool is_none(const char *given)
{
    return given && strcmp(given, "none") == 0;
}

static void note_places(struct confine_places *p, const struct config *c)
{
    char control[CONTROL_PATH_MAX], state[PATH_MAX];

    if (c->control ? !is_none(c->control) : control_path_default(control) == 0)
        confine_places_note(p, c->control ? c->control : control, true);
    if (c->state ? !is_none(c->state) : state_file_default(state) == 0)
        confine_places_note(p, c->state ? c->state : state, true);
    if (!log_to_is_word(c->log_to))
        confine_places_note(p, c->log_to, false);
    if (c->record)
        confine_places_note(p, c->record, false);
}

int app_confine_begin(struct app_confine *f, const struct config *c, char *err)
{
    char why[CONFIG_ERROR_MAX];

    *f = (struct app_confine){.on = c->run_as != NULL};
    if (!f->on)
        return 0;
    int r = confine_user_find(&f->user, c->run_as, why);
    if (r < 0) {
        (void)snprintf(err, CONFIG_ERROR_MAX, "--run-as: %.900s", why);
        return r;
    }
    r = confine_may_become(&f->user, err);
    if (r == 0)
        note_places(&f->places, c);
    return r;
}

static void warn_of(const struct app_confine *f, const char *path, const char *advice)
{
    struct log_line l;

    log_begin(&l, EVENT_PATH_CLOSED);
    log_str(&l, "path", path);
    log_str(&l, "user", f->user.name);
    log_str(&l, "advice", advice);
    log_end(&l);
}

static void look_at_paths(const struct app_confine *f, const char *config_file)
{
    char path[PATH_MAX];

    if (confine_places_closed(&f->places, path))
        warn_of(f, path,
                "let the user write in this folder, which an earlier start or another program has made");
    if (config_file && access(config_file, R_OK) < 0)
        warn_of(f, config_file, "let the user's group read it; until then a reload is refused");
}

static void log_user(const struct app_confine *f)
{
    char text[CONFINE_RIGHTS_TEXT_MAX];
    struct log_line l;

    log_begin(&l, EVENT_RUNS_AS);
    log_str(&l, "user", f->user.name);
    log_str(&l, "rights", confine_rights_text(confine_rights_held(), text));
    log_end(&l);
}

int app_confine_end(const struct app_confine *f, const struct config *c, const char *config_file, char *err)
{
    const char *path = NULL;

    if (!f->on)
        return 0;
    int r = geteuid() == 0 ? confine_places_give(&f->places, &f->user, &path) : 0;
    if (r < 0) {
        (void)snprintf(err, CONFIG_ERROR_MAX, "--run-as %.60s: cannot give it %.500s: %s", f->user.name, path,
                       strerror(-r));
        return r;
    }
    r = confine_become(&f->user, confine_rights_needed(c), err);
    if (r < 0)
        return r;
    log_user(f);
    look_at_paths(f, config_file);
    return 0;
}

int app_confine_check(const struct config *later, char *err)
{
    const uint64_t missing = confine_rights_needed(later) & ~confine_rights_held();
    char text[CONFINE_RIGHTS_TEXT_MAX];

    if (missing == 0)
        return 0;
    (void)snprintf(err, CONFIG_ERROR_MAX,
                   "this config needs %s, which --run-as has given up: restart the proxy",
                   confine_rights_text(missing, text));
    return -EPERM;
}
