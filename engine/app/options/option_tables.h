/* The parts of the table of options, for options.c and the files that have them. */
#ifndef STEERWAY_OPTIONS_OPTION_TABLES_H
#define STEERWAY_OPTIONS_OPTION_TABLES_H

#include "options/options.h"

/* Scopes, and parts of the config, that several options share. */
enum {
    RUN = OPTION_OF_START | OPTION_OF_CHECK | OPTION_OF_DOCTOR,
    CONTROL = OPTION_OF_CONTROL | OPTION_OF_WHY | OPTION_OF_CAPTURE | OPTION_OF_CONNECTIONS |
              OPTION_OF_CLOSE | OPTION_OF_EVENTS,
    ANY = RUN | OPTION_OF_LIST | CONTROL | OPTION_OF_NEW_POLICY | OPTION_OF_SIMULATE | OPTION_OF_COMPLETION |
          OPTION_OF_INIT,
    PORT_PARTS = CONFIG_PART_PORT | CONFIG_PART_LISTEN,
};

struct option_part {
    const struct option *items;
    size_t n;
};

/* In the order in which help prints them. */
extern const struct option_part OPTIONS_CLIENTS, OPTIONS_TRAFFIC, OPTIONS_REST;

#endif
