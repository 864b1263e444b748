/* Asks a running proxy, and prints the answer. */
#ifndef STEERWAY_ASK_ASK_AND_SHOW_H
#define STEERWAY_ASK_ASK_AND_SHOW_H

#include <jansson.h>

struct cli;

/** Print the answer as JSON with --json, else by show. @param request  taken; NULL: out of memory
 *  @return exit code; errors are printed */
int ask_and_show(const struct cli *cli, json_t *request, void (*show)(const json_t *answer));
/** Print an answer (taken) in this way. @return exit code; errors are printed */
int show_answer(const struct cli *cli, json_t *answer, void (*show)(const json_t *answer));

#endif
