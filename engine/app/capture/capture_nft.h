/* Runs the program nft, and knows what of the table is capture's own. It waits for the program, so it is not
 * for a loop. */
#ifndef STEERWAY_CAPTURE_CAPTURE_NFT_H
#define STEERWAY_CAPTURE_CAPTURE_NFT_H

#include "capture/capture_ranges.h"
#include "capture/capture_request.h"

/** Turn into the program nft, with fixed folders to search and an environment of its own. Returns only if it
 * fails. For a child process. */
void capture_nft_become(char *const argv[]);

/** What the table has that capture did not make. */
struct capture_table {
    bool exists;
    size_t ours;                     /* rules of capture */
    size_t foreign;                  /* chains, sets and rules of others */
    char example[CAPTURE_ERROR_MAX]; /* one of these; "" for none */
    struct capture_ranges near;      /* what capture's sets contain, joined */
    struct addr to4, to6;            /* where its rules lead; AF_UNSPEC for none */
    char *removal;                   /* a script that removes what is ours; malloc'ed; NULL for nothing */
};

/** Read the table. @return 0; -ENOENT when nft is missing; or negative errno with one line in err
 * (CAPTURE_ERROR_MAX) */
MUST_CHECK int capture_table_read(struct capture_table *ret, char *err);
void capture_table_done(struct capture_table *t);

/** The same from the text of `nft -a list table`. Pure. @return 0, -ENOMEM */
MUST_CHECK int capture_table_parse(const char *text, struct capture_table *ret);

/** Apply a script as a whole, or not at all. @return as capture_table_read */
MUST_CHECK int capture_nft_apply(const char *script, char *err);

#endif
