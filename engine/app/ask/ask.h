/* Sends one request to a running proxy over its control socket. */
#ifndef STEERWAY_ASK_ASK_H
#define STEERWAY_ASK_ASK_H

#include "cli/cli.h"

#include <jansson.h>
#include <stdbool.h>

/** Send the request (taken) to the socket of --control or of the default path, and wait for the answer.
 * Errors, also the proxy's refusal, are printed.
 *  @param ret  the answer, to be decref'd
 *  @return COMMAND_OK, or the exit code */
MUST_CHECK int ask(const struct cli *cli, json_t *request, json_t **ret);

/** Send the request (taken) to a proxy at this path, which gets a few seconds. Prints nothing.
 *  @return its answer, to be decref'd; NULL for none, or for a refusal */
json_t *ask_quietly(const char *path, json_t *request);

/** The same, for an answer that lines follow. @param ret_fd  has the lines, to be closed
 *  @return COMMAND_OK, or the exit code */
MUST_CHECK int ask_open(const struct cli *cli, json_t *request, int *ret_fd);

/** Whether a proxy listens there. Prints nothing.
 *  @param ret_path  CONTROL_PATH_MAX bytes, for the path of the socket; "" when there is none */
bool ask_is_there(const struct cli *cli, char *ret_path);

#endif
