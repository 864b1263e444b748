/* The commands that ask a running proxy over its control socket, and print its answer. */
#ifndef STEERWAY_ASK_ASK_COMMANDS_H
#define STEERWAY_ASK_ASK_COMMANDS_H

struct cli;

/* The state of the proxy, of its uplinks, and a choice. */
int cmd_status(const struct cli *cli);
int cmd_uplinks(const struct cli *cli);
int cmd_why(const struct cli *cli);

/* Policy and parameters, and a recording for simulate. */
int cmd_reload(const struct cli *cli);
int cmd_restart(const struct cli *cli);
int cmd_policy(const struct cli *cli);
int cmd_set(const struct cli *cli);
int cmd_record(const struct cli *cli);

/* Connections. */
int cmd_connections(const struct cli *cli);
int cmd_close(const struct cli *cli);

/* What happens, as it happens, and the level of the log. */
int cmd_events(const struct cli *cli);
int cmd_tail(const struct cli *cli);
int cmd_log(const struct cli *cli);

/* Changes of uplinks. */
int cmd_add(const struct cli *cli);
int cmd_remove(const struct cli *cli);
int cmd_weight(const struct cli *cli);
int cmd_tier(const struct cli *cli);
int cmd_quota(const struct cli *cli);
int cmd_drain(const struct cli *cli);
int cmd_undrain(const struct cli *cli);

#endif
