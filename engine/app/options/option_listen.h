/* Parses where to listen, for the setters of options. */
#ifndef STEERWAY_OPTIONS_OPTION_LISTEN_H
#define STEERWAY_OPTIONS_OPTION_LISTEN_H

#include "config/config.h"

/** Parse "ADDRESS:PORT"; localhost and * are two addresses.
 *  @return their number, or -EINVAL with one line in err (CONFIG_ERROR_MAX) */
MUST_CHECK int option_parse_listen(struct slice text, struct listen_place ret[2], char *err);

#endif
