#include "main/verbs.h"

#include "ask/ask_commands.h"
#include "main/commands.h"
#include "options/options.h"

#include <stdint.h>

#define UPLINKS_HELP                                                                                         \
    "UPLINK is INTERFACE or ADDRESS, with @WEIGHT or /WEIGHT for its share, which is\n"                      \
    "else 1: eth0, wwan0@0.5, 192.168.1.10@7, [2001:db8::10]@3; or the URL of a\n"                           \
    "parent proxy: socks5://127.0.0.1:7001, http://USER:PASS@HOST:PORT@2. Without\n"                         \
    "any: every interface that is up and has its own default route, except for\n"                            \
    "bridges, containers and tunnels.\n"

static const struct verb ITEMS[] = {
    {.name = "list",
     .words = "",
     .summary = "show the links of this machine, and which of them would be used",
     .about = "Show the links of this machine, and which of them start would use by default.\n",
     .scope = OPTION_OF_LIST,
     .run = cmd_list},
    {.name = "start",
     .words = "[UPLINK...]",
     .words_max = SIZE_MAX,
     .summary = "run the proxy",
     .about =
         "Run the proxy until SIGINT or SIGTERM; SIGHUP reads config and\npolicy again.\n\n" UPLINKS_HELP,
     .scope = OPTION_OF_START,
     .run = cmd_start},
    {.name = "check",
     .words = "[POLICY] [UPLINK...]",
     .words_max = SIZE_MAX,
     .summary = "find mistakes in config and policy, without starting",
     .about = "Read config and policy as start does, try the policy, report mistakes,\n"
              "and exit. Uplinks and addresses that this machine lacks cause warnings:\n"
              "the config may be meant for another one. It does not try if a port is free.\n\n"
              "POLICY is a Lua file, or the name of a policy that ships; as --policy.\n\n" UPLINKS_HELP,
     .scope = OPTION_OF_CHECK,
     .run = cmd_check},
    {.name = "doctor",
     .words = "[UPLINK...]",
     .words_max = SIZE_MAX,
     .summary = "examine the uplinks: what is wrong, and what repairs it",
     .about = "Examine each uplink: link, address, router, routes, filters, names, internet,\n"
              "public address. For each fault, print the commands that repair it and that\n"
              "undo the repair. Nothing is changed; some packets are sent.\n\n" UPLINKS_HELP,
     .scope = OPTION_OF_DOCTOR,
     .run = cmd_doctor},
    {.name = "status",
     .words = "",
     .summary = "show the state of the running proxy",
     .about = "Show the state of the running proxy: policy, clients, listeners.\n",
     .scope = OPTION_OF_CONTROL | OPTION_OF_WATCH,
     .run = cmd_status},
    {.name = "uplinks",
     .words = "",
     .summary = "show the uplinks of the running proxy, with what they carry",
     .about = "Show the uplinks of the running proxy, with what they carry.\n",
     .scope = OPTION_OF_CONTROL | OPTION_OF_WATCH,
     .run = cmd_uplinks},
    {.name = "add",
     .words = "UPLINK",
     .words_min = 1,
     .words_max = 1,
     .summary = "add an uplink to the running proxy",
     .about = "Add an uplink to the running proxy, until it is restarted or reads its config\n"
              "again. The policy is loaded again, so that it knows the uplink.\n\n"
              "UPLINK is as for start: eth0, wwan0@0.5, socks5://127.0.0.1:7001.\n",
     .scope = OPTION_OF_CONTROL,
     .run = cmd_add},
    {.name = "remove",
     .words = "UPLINK",
     .words_min = 1,
     .words_max = 1,
     .summary = "remove an uplink from the running proxy",
     .about = "Remove an uplink from the running proxy, until it is restarted or reads its\n"
              "config again. Open connections go on.\n",
     .scope = OPTION_OF_CONTROL,
     .run = cmd_remove},
    {.name = "weight",
     .words = "UPLINK NUMBER",
     .words_min = 2,
     .words_max = 2,
     .summary = "set the weight of an uplink of the running proxy",
     .about = "Set the weight of an uplink of the running proxy: its share of new connections,\n"
              "for policies that use weights.\n",
     .scope = OPTION_OF_CONTROL,
     .run = cmd_weight},
    {.name = "tier",
     .words = "UPLINK NUMBER",
     .words_min = 2,
     .words_max = 2,
     .summary = "set the tier of an uplink of the running proxy",
     .about = "Set the tier of an uplink of the running proxy, for policies that use tiers:\n"
              "uplinks of tier 1 are used first.\n",
     .scope = OPTION_OF_CONTROL,
     .run = cmd_tier},
    {.name = "quota",
     .words = "UPLINK BYTES|none [day|week|month]",
     .words_min = 2,
     .words_max = 3,
     .summary = "set the quota of an uplink of the running proxy",
     .about = "Set the bytes that an uplink of the running proxy may carry in a period, such as\n"
              "20G. The period stays as it is unless it is named. Bytes of the present period\n"
              "that were carried before count too.\n",
     .scope = OPTION_OF_CONTROL,
     .run = cmd_quota},
    {.name = "drain",
     .words = "UPLINK [off]",
     .words_min = 1,
     .words_max = 2,
     .summary = "give an uplink of the running proxy no new connections",
     .about = "Give an uplink of the running proxy no new connections; open ones go on. With\n"
              "off it serves again.\n",
     .scope = OPTION_OF_CONTROL,
     .run = cmd_drain},
    {.name = "undrain",
     .words = "UPLINK",
     .words_min = 1,
     .words_max = 1,
     .summary = "let a drained uplink of the running proxy serve again",
     .about = "Let a drained uplink of the running proxy serve again, as drain UPLINK off.\n",
     .scope = OPTION_OF_CONTROL,
     .run = cmd_undrain},
    {.name = "connections",
     .words = "",
     .summary = "show the connections of the running proxy",
     .about = "Show the open connections of the running proxy, and its UDP mappings; or those\n"
              "that have ended of late. A connection is shown if all filters fit.\n",
     .scope = OPTION_OF_CONNECTIONS,
     .run = cmd_connections},
    {.name = "close",
     .words = "[ID...]",
     .words_max = SIZE_MAX,
     .summary = "close connections of the running proxy",
     .about = "Close connections and UDP mappings of the running proxy: those with these IDs,\n"
              "which connections shows, or those that the filters fit. Client and destination\n"
              "see a reset where bytes are missing.\n",
     .scope = OPTION_OF_CLOSE,
     .run = cmd_close},
    {.name = "events",
     .words = "",
     .summary = "show the events of the running proxy as they come, as JSON",
     .about = "Show the events of the running proxy as they come, one JSON object a line, whatever\n"
              "the level of its log. It ends by Ctrl-C, and with the proxy.\n",
     .scope = OPTION_OF_EVENTS,
     .run = cmd_events},
    {.name = "tail",
     .words = "",
     .summary = "show the choices and ends of connections as they come",
     .about = "Show the choices of the running proxy (>), raced uplinks (+), ends of connections\n"
              "(=) and failures (!) as they come. It ends by Ctrl-C, and with the proxy.\n",
     .scope = OPTION_OF_CONTROL,
     .run = cmd_tail},
    {.name = "log",
     .words = "LEVEL",
     .words_min = 1,
     .words_max = 1,
     .summary = "set the level of the running proxy's log",
     .about = "Set the level of the running proxy's log: debug, info, warn or error. It stays\n"
              "until the proxy restarts, or a reload finds another level in the config file.\n",
     .scope = OPTION_OF_CONTROL,
     .run = cmd_log},
    {.name = "why",
     .words = "HOST[:PORT]|URL",
     .words_min = 1,
     .words_max = 1,
     .summary = "tell which uplink the running proxy would choose now, and why",
     .about = "Tell which uplink the policy of the running proxy would choose now, its reason,\n"
              "and what it saw. Nothing is sent, and the policy remembers nothing of it.\n",
     .scope = OPTION_OF_WHY,
     .run = cmd_why},
    {.name = "reload",
     .words = "",
     .summary = "let the running proxy read its config and policy again",
     .about = "Let the running proxy read its config and policy again, and print what has\n"
              "changed. A mistake changes nothing, and is printed.\n",
     .scope = OPTION_OF_CONTROL,
     .run = cmd_reload},
    {.name = "restart",
     .words = "",
     .summary = "let a new process take the place of the running proxy",
     .about = "Let a new process take the place of the running proxy, with its command line and\n"
              "its program, which may have been replaced. Return once the new process serves.\n"
              "No client is refused: the old process hands over its sockets, and finishes\n"
              "what is open. A mistake changes nothing, and is printed.\n",
     .scope = OPTION_OF_CONTROL,
     .run = cmd_restart},
    {.name = "policy",
     .words = "NAME|FILE",
     .words_min = 1,
     .words_max = 1,
     .summary = "give the running proxy another policy",
     .about = "Give the running proxy another policy: one that ships, or a file. Parameters\n"
              "begin with their defaults.\n",
     .scope = OPTION_OF_CONTROL,
     .run = cmd_policy},
    {.name = "set",
     .words = "KEY=VALUE",
     .words_min = 1,
     .words_max = 1,
     .summary = "set a parameter of the running proxy's policy",
     .about = "Set a parameter of the running proxy's policy, and reload the policy with it.\n",
     .scope = OPTION_OF_CONTROL,
     .run = cmd_set},
    {.name = "record",
     .words = "[on FILE|off]",
     .words_max = 2,
     .summary = "let the running proxy record its connections",
     .about = "Let the running proxy record its connections to a new file, end the recording,\n"
              "or tell whether one runs.\n",
     .scope = OPTION_OF_CONTROL,
     .run = cmd_record},
    {.name = "capture",
     .words = "on|off|show",
     .words_min = 1,
     .words_max = 1,
     .summary = "send this machine's traffic through the running proxy",
     .about = "Send the traffic of programs that know no proxy through the running proxy, by\n"
              "rules of nftables and routing rules. The proxy needs a listener for it:\n"
              "--transparent tproxy:localhost:1081. off removes all that on has added, also\n"
              "after the proxy was killed. show prints the commands that do the same.\n",
     .scope = OPTION_OF_CAPTURE,
     .run = cmd_capture},
    {.name = "simulate",
     .words = "[POLICY]",
     .words_max = 1,
     .summary = "play connections against simulated uplinks",
     .about = "Play a trace of connections against simulated uplinks with one policy or more.\n"
              "Print what each uplink carried, and how long the connections took.\n"
              "The same seed and input always give the same result.\n",
     .scope = OPTION_OF_SIMULATE,
     .run = cmd_simulate},
    {.name = "init",
     .words = "[INTERFACE...]",
     .words_max = SIZE_MAX,
     .summary = "write a first config, after a few questions",
     .about = "Look at the links of this machine, ask a few questions, and write a commented\n"
              "config. Options answer questions beforehand; INTERFACE names an uplink.\n",
     .scope = OPTION_OF_INIT,
     .run = cmd_init},
    {.name = "new-policy",
     .words = "NAME",
     .words_min = 1,
     .words_max = 1,
     .summary = "write a new policy and its spec into this folder",
     .about = "Write a new policy NAME.lua and its tests NAME_spec.lua into this folder, and\n"
              "print the commands that check, test and run it.\n",
     .scope = OPTION_OF_NEW_POLICY,
     .run = cmd_new_policy},
    {.name = "completion",
     .words = "bash|zsh|fish",
     .words_min = 1,
     .words_max = 1,
     .summary = "print the completion script of a shell",
     .about = "Print a script that completes commands, options, uplinks and policies in a shell.\n"
              "Packages install it. Else: steerway completion bash >FILE, and source FILE.\n",
     .scope = OPTION_OF_COMPLETION,
     .run = cmd_completion},
    {.name = "help",
     .words = "[COMMAND]",
     .words_max = 1,
     .summary = "show the help of a command: steerway help start",
     .about = "Show the help of a command.\n",
     .run = cmd_help},
};
const struct verb_table VERBS = {.items = ITEMS, .n = sizeof ITEMS / sizeof *ITEMS};
