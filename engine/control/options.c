#include "control/options.h"

#include "control/option_setters.h"

#include <stdio.h>

static const char LISTEN[] = "Where to listen", ACCESS[] = "Who may use it",
                  TRAFFIC[] = "Which way traffic goes", TIMES[] = "How long to wait (in seconds)",
                  SIMULATION[] = "What is played", OTHER[] = "Everything else";

enum {
    RUN = OPTION_OF_START | OPTION_OF_CHECK | OPTION_OF_DOCTOR,
    CONTROL = OPTION_OF_CONTROL | OPTION_OF_WHY,
    ANY = RUN | OPTION_OF_LIST | CONTROL | OPTION_OF_NEW_POLICY | OPTION_OF_SIMULATE,
    PORT_PARTS = CONFIG_PART_PORT | CONFIG_PART_LISTEN,
};

/* In the order of the help. */
const struct option option_table[] = {
    {.group = LISTEN,
     .name = "host",
     .letter = 'H',
     .kind = OPTION_LIST,
     .argument = "ADDRESS",
     .about =
         "listen on this address; localhost (the default) is 127.0.0.1 and ::1, * is every address of this "
         "machine; may be repeated",
     .set = option_set_host,
     .clears = CONFIG_PART_HOSTS | CONFIG_PART_LISTEN,
     .scope = RUN},
    {.group = LISTEN,
     .name = "port",
     .letter = 'p',
     .kind = OPTION_NUMBER,
     .argument = "PORT",
     .about = "listen on this port; 0 takes a free one (default: 1080, or 8080 with --http)",
     .set = option_set_port,
     .clears = PORT_PARTS,
     .scope = RUN},
    {.group = LISTEN,
     .name = "http",
     .kind = OPTION_FLAG,
     .about = "let the default port be 8080; any port speaks SOCKS and HTTP alike",
     .set = option_set_http,
     .clears = PORT_PARTS,
     .scope = RUN},
    {.group = LISTEN,
     .name = "listen",
     .kind = OPTION_LIST,
     .argument = "ADDRESS:PORT",
     .about = "listen there instead, or as well where --host or --port is given; may be repeated",
     .set = option_set_listen,
     .clears = PORT_PARTS | CONFIG_PART_HOSTS,
     .scope = RUN},

    {.group = LISTEN,
     .name = "listen-strict",
     .about = "refuse to start when this machine lacks an address to listen on, instead of waiting for it",
     .set = option_set_listen_strict,
     .scope = RUN},
    {.group = ACCESS,
     .name = "allow",
     .kind = OPTION_LIST,
     .argument = "CIDR[,CIDR...]",
     .about = "serve clients from these address ranges only; may be repeated (default: private addresses, or "
              "everybody where users must give a password)",
     .set = option_set_allow,
     .clears = CONFIG_PART_ALLOW,
     .scope = RUN},
    {.group = ACCESS,
     .name = "auth",
     .kind = OPTION_LIST,
     .argument = "USER:PASS",
     .about = "demand a name and password; may be repeated for several users; --auth-file keeps the password "
              "out of "
              "the shell's history",
     .set = option_set_auth,
     .clears = CONFIG_PART_USERS,
     .scope = RUN,
     .secret = true},
    {.group = ACCESS,
     .name = "auth-file",
     .kind = OPTION_PATHS,
     .argument = "FILE",
     .about = "the same with users from a file, one USER:PASS a line",
     .set = option_set_auth_file,
     .clears = CONFIG_PART_USERS,
     .scope = RUN},

    {.group = TRAFFIC,
     .name = "policy",
     .kind = OPTION_POLICY,
     .argument = "NAME|FILE",
     .about = "the Lua policy that picks an uplink for each connection (default: fair_share, or "
              "least_connections where weights are given)",
     .set = option_set_policy,
     .clears = CONFIG_PART_PARAMS,
     .scope = RUN},
    {.group = TRAFFIC,
     .name = "set",
     .kind = OPTION_MAP,
     .argument = "KEY=VALUE",
     .about = "set a parameter of the policy; may be repeated",
     .set = option_set_param,
     .scope = RUN | OPTION_OF_SIMULATE},
    {.group = TRAFFIC,
     .name = "bypass",
     .kind = OPTION_LIST,
     .argument = "CIDR[,CIDR...]|none",
     .about = "destinations that go direct, without the policy; may be repeated (default: loopback, "
              "link-local and "
              "the networks that this machine is connected to)",
     .set = option_set_bypass,
     .clears = CONFIG_PART_BYPASS,
     .scope = RUN},
    {.group = TRAFFIC,
     .name = "dns",
     .kind = OPTION_LIST,
     .argument = "SERVER[,SERVER...]",
     .about = "ask these DNS servers instead of the system's",
     .set = option_set_dns,
     .clears = CONFIG_PART_DNS,
     .scope = RUN},
    {.group = TRAFFIC,
     .name = "check",
     .kind = OPTION_LIST,
     .argument = "TARGET[,TARGET...]|none",
     .about = "check uplinks that are idle or do not answer by these: HOST:PORT to connect to, or a URL "
              "(http://...) that answers with status 204; metered ones are left out (default: two of "
              "those that phones and browsers ask)",
     .set = option_set_check,
     .clears = CONFIG_PART_CHECK,
     .scope = RUN},

    {.group = TIMES,
     .name = "dial-timeout",
     .kind = OPTION_NUMBER,
     .argument = "S",
     .about = "for a destination to answer, all attempts together (default: 10)",
     .set = option_set_dial_timeout,
     .scope = RUN},
    {.group = TIMES,
     .name = "hedge",
     .kind = OPTION_NUMBER,
     .argument = "S",
     .about =
         "until a second uplink is raced against one that has not connected; 0 for never (default: three "
         "times what that uplink usually takes, at least 0.25)",
     .set = option_set_hedge,
     .scope = RUN},
    {.group = TRAFFIC,
     .name = "fast-open",
     .about = "send with a connection's first packet what the client has said already (TCP Fast Open); only "
              "what may "
              "arrive twice",
     .set = option_set_fast_open,
     .scope = RUN},
    {.group = TRAFFIC,
     .name = "ipv6-source",
     .kind = OPTION_TEXT,
     .argument = "WHICH",
     .about = "which IPv6 address of an uplink to send from: temporary, stable, or system, which is as "
              "use_tempaddr of its interface says (default: system)",
     .set = option_set_ipv6_source,
     .scope = RUN},
    {.group = TRAFFIC,
     .name = "public-address",
     .argument = "URL|none",
     .kind = OPTION_TEXT,
     .about = "ask there for the address that the internet sees: its answer is that and no more (default: "
              "http://api.ipify.org/)",
     .scope = OPTION_OF_DOCTOR,
     .action = OPTION_KEPT},
    {.group = TIMES,
     .name = "check-interval",
     .kind = OPTION_NUMBER,
     .argument = "S",
     .about = "between two checks of an idle uplink (default: 60)",
     .set = option_set_check_interval,
     .scope = RUN},
    {.group = TIMES,
     .name = "ack-timeout",
     .kind = OPTION_NUMBER,
     .argument = "S",
     .about =
         "for a peer with room to acknowledge what was sent, before the connection is reset; 0: as long as "
         "the kernel waits (default: 100)",
     .set = option_set_ack_timeout,
     .scope = RUN},
    {.group = TIMES,
     .name = "cut-after",
     .kind = OPTION_NUMBER,
     .argument = "S",
     .about = "that an uplink is down, while another one answers, before connections by it are reset; 0 for "
              "never (default: 30)",
     .set = option_set_cut_after,
     .scope = RUN},
    {.group = TIMES,
     .name = "handshake-timeout",
     .kind = OPTION_NUMBER,
     .argument = "S",
     .about = "for a client to say what it wants (default: 30)",
     .set = option_set_handshake_timeout,
     .scope = RUN},
    {.group = TIMES,
     .name = "idle-timeout",
     .kind = OPTION_NUMBER,
     .argument = "S",
     .about = "for an open connection on which nothing moves (default: 3600)",
     .set = option_set_idle_timeout,
     .scope = RUN},
    {.group = TIMES,
     .name = "drain-timeout",
     .kind = OPTION_NUMBER,
     .argument = "S",
     .about = "for running connections to end, once told to stop (default: 10)",
     .set = option_set_drain_timeout,
     .scope = RUN},

    {.group = OTHER,
     .name = "config",
     .kind = OPTION_PATH,
     .argument = "FILE",
     .about = "read all this from a Lua file that returns a table; options given here count more",
     .scope = RUN,
     .action = OPTION_READS_FILE},
    {.group = OTHER,
     .name = "data-dir",
     .kind = OPTION_PATH,
     .argument = "DIR",
     .about = "where the folders lua and policies are (default: beside the installed program)",
     .set = option_set_data_dir,
     .scope = RUN | OPTION_OF_NEW_POLICY | OPTION_OF_SIMULATE},
    {.group = OTHER,
     .name = "control",
     .kind = OPTION_PLACE,
     .argument = "PATH|none",
     .about = "where the control socket is (default: steerway/control.sock in the user's runtime directory)",
     .set = option_set_control,
     .scope = RUN | CONTROL},
    {.group = OTHER,
     .name = "state",
     .kind = OPTION_PLACE,
     .argument = "PATH|none",
     .about =
         "where used quotas and learned capacities are kept over restarts (default: steerway/state.json in "
         "the user's state directory)",
     .set = option_set_state,
     .scope = RUN},
    {.group = OTHER,
     .name = "threads",
     .kind = OPTION_NUMBER,
     .argument = "N",
     .about = "so many threads relay; 0: the one that decides does all (default: as many as there are "
              "processors, up to 4)",
     .set = option_set_threads,
     .scope = RUN},
    {.group = OTHER,
     .name = "no-watch",
     .about = "do not load the policy anew when one of its files is saved",
     .set = option_set_no_watch,
     .scope = RUN},
    {.group = OTHER,
     .name = "record",
     .kind = OPTION_PATH,
     .argument = "FILE",
     .about = "record each connection, as a trace for simulate; the file must be new",
     .set = option_set_record,
     .scope = RUN},
    {.group = SIMULATION,
     .name = "compare",
     .kind = OPTION_TEXT,
     .argument = "A,B,C",
     .about = "play the same for each of these policies, and put them side by side",
     .scope = OPTION_OF_SIMULATE,
     .action = OPTION_KEPT},
    {.group = SIMULATION,
     .name = "trace",
     .kind = OPTION_TEXT,
     .argument = "KIND|FILE",
     .about = "browsing (the default), download, torrent, uploads or mixed, or what a proxy has recorded",
     .scope = OPTION_OF_SIMULATE,
     .action = OPTION_KEPT},
    {.group = SIMULATION,
     .name = "connections",
     .kind = OPTION_NUMBER,
     .argument = "N",
     .about = "how many to make (default: 20000)",
     .scope = OPTION_OF_SIMULATE,
     .action = OPTION_KEPT},
    {.group = SIMULATION,
     .name = "uplinks",
     .kind = OPTION_TEXT,
     .argument = "FILE",
     .about = "the uplinks, from a Lua file (default: a fibre of 100/40 and an LTE stick of 10/2 Mbit/s)",
     .scope = OPTION_OF_SIMULATE,
     .action = OPTION_KEPT},
    {.group = SIMULATION,
     .name = "seed",
     .kind = OPTION_NUMBER,
     .argument = "N",
     .about = "another one makes another trace, and other draws (default: 1)",
     .scope = OPTION_OF_SIMULATE,
     .action = OPTION_KEPT},
    {.group = SIMULATION,
     .name = "svg",
     .kind = OPTION_TEXT,
     .argument = "FILE",
     .about = "draw throughput over time there",
     .scope = OPTION_OF_SIMULATE,
     .action = OPTION_KEPT},
    {.group = OTHER,
     .name = "client",
     .kind = OPTION_TEXT,
     .argument = "ADDRESS",
     .about = "ask for a connection of this client (default: 127.0.0.1)",
     .scope = OPTION_OF_WHY,
     .action = OPTION_KEPT},
    {.group = OTHER,
     .name = "user",
     .kind = OPTION_TEXT,
     .argument = "NAME",
     .about = "ask for a client that has logged in under this name",
     .scope = OPTION_OF_WHY,
     .action = OPTION_KEPT},
    {.group = OTHER, .name = "debug", .about = "log every step", .set = option_set_debug, .scope = RUN},
    {.group = OTHER,
     .name = "quiet",
     .about = "log warnings and errors only, and print no greeting",
     .set = option_set_quiet,
     .scope = RUN},
    {.group = OTHER,
     .name = "log-format",
     .kind = OPTION_TEXT,
     .argument = "text|json",
     .about = "how to write the log (default: text)",
     .set = option_set_log_format,
     .scope = RUN},
    {.group = OTHER,
     .name = "json",
     .about = "print JSON",
     .scope = OPTION_OF_LIST | CONTROL | OPTION_OF_SIMULATE | OPTION_OF_DOCTOR,
     .action = OPTION_AS_JSON},
    {.group = OTHER,
     .name = "version",
     .letter = 'V',
     .about = "print the version and exit",
     .scope = ANY,
     .action = OPTION_SHOWS_VERSION},
    {.group = OTHER,
     .name = "help",
     .letter = 'h',
     .about = "print this help and exit",
     .scope = ANY,
     .action = OPTION_SHOWS_HELP},
};
const size_t option_count = ARRAY_LEN(option_table);

const struct option *option_by_name(struct slice name)
{
    for (size_t i = 0; i < option_count; i++) {
        if (slice_eq(slice_str(option_table[i].name), name))
            return &option_table[i];
    }
    return NULL;
}

const struct option *option_by_letter(char letter)
{
    for (size_t i = 0; letter && i < option_count; i++) {
        if (option_table[i].letter == letter)
            return &option_table[i];
    }
    return NULL;
}

int options_apply(struct config *c, const struct option_value *values, size_t n, bool *ret_file, char *err)
{
    char reason[CONFIG_ERROR_MAX];

    /* All is cleared before anything is set, so that the order of options does not matter. */
    for (size_t i = 0; i < n; i++)
        config_clear(c, values[i].option->clears);
    for (size_t i = 0; i < n; i++) {
        const struct option *o = values[i].option;
        int r = o->set ? o->set(c, values[i].text, reason) : 0;
        if (r < 0) {
            (void)snprintf(err, CONFIG_ERROR_MAX, "--%s: %.*s", o->name, CONFIG_ERROR_MAX - 64, reason);
            *ret_file = o->kind == OPTION_PATHS && *values[i].text;
            return r;
        }
    }
    return 0;
}
