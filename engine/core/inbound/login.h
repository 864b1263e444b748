/* Checks a client's name and password, and decides when the result is told. */
#ifndef STEERWAY_INBOUND_LOGIN_H
#define STEERWAY_INBOUND_LOGIN_H

#include "inbound/session.h"

enum login {
    LOGIN_RIGHT, /* or no login is needed */
    LOGIN_WRONG,
    LOGIN_WAITS, /* SESSION_SLOWED was entered; then the front continues with the same message */
};

/** @param given  whether there was any; without, it is wrong, but it is not a guess
 *  s->waited tells afterwards whether it has waited: the front resets it when it answers */
enum login session_login(struct session *s, bool given, struct slice user, struct slice pass);

#endif
