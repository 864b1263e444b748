#include "capture/capture_record.h"

#include "keep/lock_file.h"
#include "keep/state_file.h"
#include "keep/whole_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char FILE_NAME[] = "capture.json";

/* --- JSON ----------------------------------------------------------------------------------------------- */

static json_t *step_json(const struct capture_step *s)
{
    int family = s->family == AF_INET ? 4 : 6;

    if (s->kind == CAPTURE_STEP_ROUTE)
        return json_pack("{s:s, s:i, s:I}", "what", "route", "family", family, "table",
                         (json_int_t)CAPTURE_ROUTING_TABLE);
    return json_pack("{s:s, s:i, s:I, s:I, s:I, s:s}", "what", "rule", "family", family, "mark",
                     (json_int_t)s->rule.mark, "table", (json_int_t)s->rule.table, "priority",
                     (json_int_t)s->rule.priority, "in", s->rule.in);
}

static bool take_u32(const json_t *o, const char *key, uint32_t *ret)
{
    const json_t *number = json_object_get(o, key);
    json_int_t n = json_is_integer(number) ? json_integer_value(number) : -1;

    *ret = (uint32_t)n;
    return n > 0 && n <= UINT32_MAX;
}

static int parse_rule(struct local_rule *ret, int family, const json_t *o)
{
    const char *in = json_string_value(json_object_get(o, "in"));
    struct local_rule r = {.family = family};

    if (!take_u32(o, "mark", &r.mark) || !take_u32(o, "table", &r.table) ||
        !take_u32(o, "priority", &r.priority) || !in || strlen(in) >= IFNAMSIZ)
        return -EPROTO;
    (void)snprintf(r.in, sizeof r.in, "%s", in);
    *ret = r;
    return 0;
}

static int parse_step(struct capture_step *ret, const json_t *o)
{
    const char *what = json_string_value(json_object_get(o, "what"));
    json_int_t family = json_integer_value(json_object_get(o, "family"));

    if (!what || (family != 4 && family != 6))
        return -EPROTO;
    *ret = (struct capture_step){.family = family == 4 ? AF_INET : AF_INET6};
    if (strcmp(what, "route") == 0)
        return 0;
    ret->kind = CAPTURE_STEP_RULE;
    return strcmp(what, "rule") == 0 ? parse_rule(&ret->rule, ret->family, o) : -EPROTO;
}

json_t *capture_record_json(const struct capture_record *r)
{
    json_t *steps = json_array();

    for (size_t i = 0; i < r->steps.n; i++)
        (void)json_array_append_new(steps, step_json(&r->steps.items[i]));
    return json_pack("{s:i, s:o, s:o, s:s}", "version", 1, "request", capture_request_json(&r->request),
                     "steps", steps, "control", r->control);
}

int capture_record_parse(struct capture_record *ret, const json_t *o)
{
    const char *control = json_string_value(json_object_get(o, "control"));
    const json_t *steps = json_object_get(o, "steps"), *step;
    struct capture_record r = {.known = true};
    char err[CAPTURE_ERROR_MAX];
    size_t i;

    if (capture_request_parse(&r.request, json_object_get(o, "request"), err) < 0 || !json_is_array(steps) ||
        json_array_size(steps) > CAPTURE_STEPS_MAX)
        return -EPROTO;
    json_array_foreach(steps, i, step)
    {
        if (parse_step(&r.steps.items[r.steps.n++], step) < 0)
            return -EPROTO;
    }
    (void)snprintf(r.control, sizeof r.control, "%s", control ? control : "");
    *ret = r;
    return 0;
}

/* --- the file ------------------------------------------------------------------------------------------- */

static int read_record(const char *path, struct capture_record *ret)
{
    char *text = NULL;

    *ret = (struct capture_record){.known = false};
    int r = whole_file_read(path, &text);
    if (r < 0 || !text)
        return r;
    json_t *o = json_loads(text, 0, NULL);
    /* A record that makes no sense is none: what is there is found without it, too. */
    (void)!capture_record_parse(ret, o);
    json_decref(o);
    free(text);
    return 0;
}

int capture_record_read(struct capture_record *ret)
{
    char path[PATH_MAX];
    int r = state_file_place(FILE_NAME, path);

    return r < 0 ? r : read_record(path, ret);
}

int capture_book_open(struct capture_book *b)
{
    int r = state_file_place(FILE_NAME, b->path);

    if (r < 0)
        return r;
    whole_file_folders(b->path);
    b->lock_fd = lock_file_take(b->path);
    if (b->lock_fd < 0)
        return b->lock_fd;
    r = read_record(b->path, &b->record);
    if (r < 0)
        capture_book_close(b);
    return r;
}

int capture_book_write(struct capture_book *b)
{
    json_t *o = capture_record_json(&b->record);
    char *text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
    int r = text ? whole_file_replace(b->path, text) : -ENOMEM;

    free(text);
    json_decref(o);
    return r;
}

int capture_book_clear(struct capture_book *b)
{
    return unlink(b->path) < 0 && errno != ENOENT ? -errno : 0;
}

void capture_book_close(struct capture_book *b)
{
    if (b->lock_fd >= 0)
        (void)close(b->lock_fd);
    b->lock_fd = -1;
}
