/* Commands that show something again and again (option --watch). */
#ifndef STEERWAY_ASK_WATCH_H
#define STEERWAY_ASK_WATCH_H

struct cli;

/** Run it once; with --watch again and again, until a signal comes or it fails. On a terminal each round
 * takes the place of the one before.
 *  @return exit code; errors are printed */
int watch(const struct cli *cli, int (*show)(const struct cli *cli, void *arg), void *arg);

#endif
