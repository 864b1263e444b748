/* What the doctor has found: what is well, and what is wrong with each uplink, or with the machine. */
#ifndef STEERWAY_DOCTOR_DIAGNOSIS_H
#define STEERWAY_DOCTOR_DIAGNOSIS_H

#include "base/compiler.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { FINDINGS_MAX = 256, FACTS_MAX = 512, FINDING_TEXT_MAX = 320, COMMAND_TEXT_MAX = 256 };

enum severity {
    SEVERITY_NOTE,    /* nothing need be done */
    SEVERITY_WARNING, /* it serves, or may serve, not as it should */
    SEVERITY_ERROR,   /* the uplink cannot serve; without an uplink, the program would not start */
};

struct finding {
    const char *id; /* a word that stays the same: docs/steerway.1 lists them */
    enum severity severity;
    char uplink[64]; /* "" for the machine */
    char what[FINDING_TEXT_MAX], why[FINDING_TEXT_MAX];
    char repair[COMMAND_TEXT_MAX], undo[COMMAND_TEXT_MAX]; /* shell commands; "" for none */
};

/** What was looked at and found well. */
struct fact {
    char uplink[64];
    const char *name;
    char text[FINDING_TEXT_MAX];
};

/** Zero-initialised is empty. What does not fit is left out. */
struct diagnosis {
    struct finding findings[FINDINGS_MAX];
    size_t n_findings;
    struct fact facts[FACTS_MAX];
    size_t n_facts;
};

/** @param uplink  its name, or "" @return to be filled further with diagnosis_repair, or NULL when it is full
 */
struct finding *diagnosis_find(struct diagnosis *r, enum severity severity, const char *id,
                               const char *uplink, const char *what, ...) PRINTF_LIKE(5, 6);
/** Why it matters, and what repairs it and takes that back: commands for a shell, with room for their names.
 *  One that does not fit, or holds what a shell would take for more than a word (an interface may be named
 *  `a;b`), is left out. Harmless for NULL. */
void diagnosis_why(struct finding *f, const char *why);
void diagnosis_repair(struct finding *f, const char *repair, ...) PRINTF_LIKE(2, 3);
void diagnosis_undo(struct finding *f, const char *undo, ...) PRINTF_LIKE(2, 3);

/** An interface's name within a setting's, as sysctl takes it: a slash for the point of a VLAN's name. */
enum { DIAGNOSIS_SYSCTL_MAX = 16 };
void diagnosis_sysctl_name(const char *interface, char ret[DIAGNOSIS_SYSCTL_MAX]);

void diagnosis_fact(struct diagnosis *r, const char *uplink, const char *name, const char *text, ...)
    PRINTF_LIKE(4, 5);

bool diagnosis_has(const struct diagnosis *r, const char *uplink, const char *id);
/** Whether nothing keeps the uplink (or with "" the machine) from serving. */
bool diagnosis_is_well(const struct diagnosis *r, const char *uplink);

/** @param uplinks  their names, in order */
void diagnosis_print(FILE *out, const struct diagnosis *r, const char *const *uplinks, size_t n);
/** @return a new reference, or NULL without memory */
json_t *diagnosis_json(const struct diagnosis *r, const char *const *uplinks, size_t n, bool would_start);

#endif
