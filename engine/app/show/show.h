/* Prints the answers of a running proxy on standard output, for people. */
#ifndef STEERWAY_SHOW_SHOW_H
#define STEERWAY_SHOW_SHOW_H

#include "base/compiler.h"

#include <jansson.h>

void show_status(const json_t *answer);
void show_uplinks(const json_t *answer);
void show_connections(const json_t *answer);
/** An event of the log, as a line of `steerway tail`. */
void show_event(const json_t *event);
void show_why(const json_t *answer);
/** The changes of a config, a line for each. */
void show_changes(const json_t *answer);

/** Users, files and the kernel may supply control characters, which a terminal might obey: put '?' in their
 * place.
 */
void show_harmless(char *text);
/** Print text in this way. @return the bytes printed */
int show_print(const char *text);

/** A field of an answer. @return "" or 0 where it has none */
const char *show_text_of(const json_t *o, const char *key);
double show_number_of(const json_t *o, const char *key);

enum { SHOW_TEXT_MAX = 32 };
/** "999 B", "1.2 kB", "34 MB". @return out */
const char *show_bytes(double n, char out[SHOW_TEXT_MAX]);
/** "42 s", "3 min 20 s", "2 h 5 min", "4 d 3 h". @return out */
const char *show_duration(double s, char out[SHOW_TEXT_MAX]);
/** The learned capacity of an uplink, down and up in Mbit/s; "-" while it is unknown. @return out */
const char *show_capacity(const json_t *uplink, char out[SHOW_TEXT_MAX]);

#endif
