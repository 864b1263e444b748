/* Sockets and locks that a process hands over to the one that takes its place, each with what it is for.
 * Those of systemd's socket activation are of the same kind. */
#ifndef STEERWAY_TAKEOVER_HANDED_H
#define STEERWAY_TAKEOVER_HANDED_H

#include "base/compiler.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum handed_kind {
    HANDED_LISTENER,  /* of connections; its place as the user gave it, and its use */
    HANDED_DATAGRAMS, /* of a forward, or of captured datagrams; the same */
    HANDED_UDP_PORT,  /* a fixed port of associations */
    HANDED_CONTROL,   /* the control socket, listening */
    HANDED_CONTROL_LOCK,
    HANDED_STATE_LOCK, /* its place: the state file */
    HANDED_RECORD,     /* a recording that runs; its place: the file */
    HANDED_NFT_IN,     /* the pipes of the child that holds the table of a capture */
    HANDED_NFT_OUT,
    N_HANDED,
};

struct handed {
    enum handed_kind kind;
    char *place; /* "" for none */
    char *use;   /* "forward", "redirect", "tproxy"; "" for a proxy, and for what is not a listener */
    int fd;      /* -1: it was used */
};

/** A use that fits all. */
#define HANDED_ANY_USE "*"

/** Zero-initialised: empty. */
struct handed_set {
    struct handed *items;
    size_t n;
};

/** @param place, use  NULL: "" @return 0, -ENOMEM */
MUST_CHECK int handed_add(struct handed_set *s, enum handed_kind kind, const char *place, const char *use,
                          int fd);
/** The first of this kind that was not used yet. @param place, use  NULL: any
 *  @return its descriptor, which the caller owns; -1: there is none */
int handed_take(struct handed_set *s, enum handed_kind kind, const char *place, const char *use);
/** Forget them all; those that were not used stay open. */
void handed_done(struct handed_set *s);
/** The same, and close those that were not used. */
void handed_close(struct handed_set *s);

/** A list, in the order of the descriptors. @return a new reference, or NULL without memory */
json_t *handed_json(const struct handed_set *s);
/** Descriptors of unknown kinds, such as a later version has, are closed. Takes all fds, on failure too.
 *  @return 0, -EPROTO, -ENOMEM */
MUST_CHECK int handed_parse(struct handed_set *ret, const json_t *list, const int *fds, size_t n);

#endif
