#include "doctor/diagnosis.h"

#include <stdarg.h>
#include <string.h>

enum { NAME_COLUMNS = 16, COLUMNS_MAX = 80 };

static const char *severity_name(enum severity s)
{
    static const char *const names[] = {"note", "warning", "error"};
    return names[s];
}

/* --- filling -------------------------------------------------------------------------------------------- */

struct finding *diagnosis_find(struct diagnosis *r, enum severity severity, const char *id,
                               const char *uplink, const char *what, ...)
{
    va_list args;

    if (r->n_findings == FINDINGS_MAX)
        return NULL;
    struct finding *f = &r->findings[r->n_findings++];
    *f = (struct finding){.id = id, .severity = severity};
    (void)snprintf(f->uplink, sizeof f->uplink, "%s", uplink);
    va_start(args, what);
    (void)vsnprintf(f->what, sizeof f->what, what, args);
    va_end(args);
    return f;
}

void diagnosis_why(struct finding *f, const char *why)
{
    if (f)
        (void)snprintf(f->why, sizeof f->why, "%s", why);
}

static bool is_for_shell(const char *command)
{
    static const char harmless[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -_.,:/=+@%$";

    return command[strspn(command, harmless)] == '\0';
}

/* @param len  bytes written, or bytes needed when the buffer was too small */
static void keep_if_for_shell(char command[COMMAND_TEXT_MAX], int len)
{
    if (len < 0 || len >= COMMAND_TEXT_MAX || !is_for_shell(command))
        command[0] = '\0';
}

void diagnosis_repair(struct finding *f, const char *repair, ...)
{
    va_list args;

    if (!f)
        return;
    va_start(args, repair);
    keep_if_for_shell(f->repair, vsnprintf(f->repair, sizeof f->repair, repair, args));
    va_end(args);
}

void diagnosis_undo(struct finding *f, const char *undo, ...)
{
    va_list args;

    if (!f)
        return;
    va_start(args, undo);
    keep_if_for_shell(f->undo, vsnprintf(f->undo, sizeof f->undo, undo, args));
    va_end(args);
}

void diagnosis_sysctl_name(const char *interface, char ret[DIAGNOSIS_SYSCTL_MAX])
{
    (void)snprintf(ret, DIAGNOSIS_SYSCTL_MAX, "%s", interface);
    for (char *p = strchr(ret, '.'); p; p = strchr(p, '.'))
        *p = '/';
}

void diagnosis_fact(struct diagnosis *r, const char *uplink, const char *name, const char *text, ...)
{
    va_list args;

    if (r->n_facts == FACTS_MAX)
        return;
    struct fact *f = &r->facts[r->n_facts++];
    *f = (struct fact){.name = name};
    (void)snprintf(f->uplink, sizeof f->uplink, "%s", uplink);
    va_start(args, text);
    (void)vsnprintf(f->text, sizeof f->text, text, args);
    va_end(args);
}

/* --- reading -------------------------------------------------------------------------------------------- */

bool diagnosis_has(const struct diagnosis *r, const char *uplink, const char *id)
{
    for (size_t i = 0; i < r->n_findings; i++)
        if (strcmp(r->findings[i].uplink, uplink) == 0 && strcmp(r->findings[i].id, id) == 0)
            return true;
    return false;
}

bool diagnosis_is_well(const struct diagnosis *r, const char *uplink)
{
    for (size_t i = 0; i < r->n_findings; i++)
        if (strcmp(r->findings[i].uplink, uplink) == 0 && r->findings[i].severity == SEVERITY_ERROR)
            return false;
    return true;
}

/* --- text ----------------------------------------------------------------------------------------------- */

static void print_facts(FILE *out, const struct diagnosis *r, const char *uplink)
{
    for (size_t i = 0; i < r->n_facts; i++)
        if (strcmp(r->facts[i].uplink, uplink) == 0)
            (void)fprintf(out, "  %-*s %s\n", NAME_COLUMNS, r->facts[i].name, r->facts[i].text);
}

/* Wrap words to the terminal's width, indented by four. Commands are not wrapped, so that they can be
 * copied. */
static void print_wrapped(FILE *out, const char *text)
{
    size_t column = 0;

    while (*text) {
        size_t len = strcspn(text, " ");
        if (column > 0 && column + 1 + len > COLUMNS_MAX) {
            (void)fputc('\n', out);
            column = 0;
        }
        column += (size_t)fprintf(out, "%s%.*s", column == 0 ? "    " : " ", (int)len, text);
        text += len;
        text += strspn(text, " ");
    }
    if (column > 0)
        (void)fputc('\n', out);
}

static void print_findings(FILE *out, const struct diagnosis *r, const char *uplink)
{
    for (size_t i = 0; i < r->n_findings; i++) {
        const struct finding *f = &r->findings[i];
        if (strcmp(f->uplink, uplink) != 0)
            continue;
        (void)fprintf(out, "\n  %s (%s): %s\n", severity_name(f->severity), f->id, f->what);
        print_wrapped(out, f->why);
        if (f->repair[0])
            (void)fprintf(out, "    repair:  %s\n", f->repair);
        if (f->undo[0])
            (void)fprintf(out, "    undo:    %s\n", f->undo);
    }
}

static void print_part(FILE *out, const struct diagnosis *r, const char *name, const char *title)
{
    (void)fprintf(out, "%s\n", title);
    print_facts(out, r, name);
    print_findings(out, r, name);
    (void)fputc('\n', out);
}

void diagnosis_print(FILE *out, const struct diagnosis *r, const char *const *uplinks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        print_part(out, r, uplinks[i], uplinks[i]);
    print_part(out, r, "", "this machine");
}

/* --- JSON ----------------------------------------------------------------------------------------------- */

static json_t *finding_json(const struct finding *f)
{
    return json_pack("{s:s, s:s, s:s*, s:s, s:s, s:s*, s:s*}", "id", f->id, "severity",
                     severity_name(f->severity), "uplink", f->uplink[0] ? f->uplink : NULL, "what", f->what,
                     "why", f->why, "repair", f->repair[0] ? f->repair : NULL, "undo",
                     f->undo[0] ? f->undo : NULL);
}

static json_t *facts_json(const struct diagnosis *r, const char *uplink)
{
    json_t *o = json_object();

    for (size_t i = 0; i < r->n_facts; i++)
        if (strcmp(r->facts[i].uplink, uplink) == 0)
            (void)json_object_set_new(o, r->facts[i].name, json_string(r->facts[i].text));
    return o;
}

json_t *diagnosis_json(const struct diagnosis *r, const char *const *uplinks, size_t n, bool would_start)
{
    json_t *findings = json_array(), *list = json_array();

    for (size_t i = 0; i < r->n_findings; i++)
        (void)json_array_append_new(findings, finding_json(&r->findings[i]));
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(list, json_pack("{s:s, s:b, s:o}", "name", uplinks[i], "well",
                                                    (int)diagnosis_is_well(r, uplinks[i]), "facts",
                                                    facts_json(r, uplinks[i])));
    return json_pack("{s:b, s:o, s:o, s:o}", "would_start", (int)would_start, "uplinks", list, "machine",
                     facts_json(r, ""), "findings", findings);
}
