/* Sends one request to a running proxy over its control socket. */
#ifndef STEERWAY_MAIN_ASK_H
#define STEERWAY_MAIN_ASK_H

#include "main/cli.h"

#include <jansson.h>

/** Send the request (taken) to the socket of --control or of the default path, and wait for the answer.
 * Errors, also the proxy's refusal, are printed.
 *  @param ret  the answer, to be decref'd
 *  @return COMMAND_OK, or the exit code */
MUST_CHECK int ask(const struct cli *cli, json_t *request, json_t **ret);

#endif
