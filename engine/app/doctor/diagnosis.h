/* The doctor's findings: what is well, and what is wrong with each uplink or with the machine. */
#ifndef STEERWAY_DOCTOR_DIAGNOSIS_H
#define STEERWAY_DOCTOR_DIAGNOSIS_H

#include "base/compiler.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { FINDINGS_MAX = 256, FACTS_MAX = 512, FINDING_TEXT_MAX = 320, COMMAND_TEXT_MAX = 256 };

enum severity {
    SEVERITY_NOTE,    /* no action needed */
    SEVERITY_WARNING, /* it works, or may work, but not as it should */
    SEVERITY_ERROR,   /* the uplink cannot serve; for the machine: the program would not start */
};

struct finding {
    const char *id; /* a stable identifier, listed in docs/steerway.1 */
    enum severity severity;
    char uplink[64]; /* "" for the machine */
    char what[FINDING_TEXT_MAX], why[FINDING_TEXT_MAX];
    char repair[COMMAND_TEXT_MAX], undo[COMMAND_TEXT_MAX]; /* shell commands; "" for none */
};

/** Something that was checked and is well. */
struct fact {
    char uplink[64];
    const char *name;
    char text[FINDING_TEXT_MAX];
};

/** Zero-initialised is empty. When it is full, further findings are dropped. */
struct diagnosis {
    struct finding findings[FINDINGS_MAX];
    size_t n_findings;
    struct fact facts[FACTS_MAX];
    size_t n_facts;
};

/** Add a finding. @param uplink  its name, or "" for the machine @return the finding, for diagnosis_why
 * and the like; NULL when the list is full */
struct finding *diagnosis_find(struct diagnosis *r, enum severity severity, const char *id,
                               const char *uplink, const char *what, ...) PRINTF_LIKE(5, 6);
/** Add the reason, and shell commands that repair it and undo the repair. A command is dropped when it is
 * too long, or holds characters that are special to a shell (an interface may be named `a;b`). Harmless
 * for NULL. */
void diagnosis_why(struct finding *f, const char *why);
void diagnosis_repair(struct finding *f, const char *repair, ...) PRINTF_LIKE(2, 3);
void diagnosis_undo(struct finding *f, const char *undo, ...) PRINTF_LIKE(2, 3);

/** Room for an interface's name as sysctl takes it: a slash replaces the dot in a VLAN's name. */
enum { DIAGNOSIS_SYSCTL_MAX = 16 };
void diagnosis_sysctl_name(const char *interface, char ret[DIAGNOSIS_SYSCTL_MAX]);

void diagnosis_fact(struct diagnosis *r, const char *uplink, const char *name, const char *text, ...)
    PRINTF_LIKE(4, 5);

bool diagnosis_has(const struct diagnosis *r, const char *uplink, const char *id);
/** Whether no finding keeps the uplink (or, with "", the machine) from serving. */
bool diagnosis_is_well(const struct diagnosis *r, const char *uplink);

/** @param uplinks  their names, in order */
void diagnosis_print(FILE *out, const struct diagnosis *r, const char *const *uplinks, size_t n);
/** @return a new reference, or NULL without memory */
json_t *diagnosis_json(const struct diagnosis *r, const char *const *uplinks, size_t n, bool would_start);

#endif
