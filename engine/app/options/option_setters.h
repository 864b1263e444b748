/* Sets each option's value in the config; for options.c, and what the files of setters share. */
#ifndef STEERWAY_OPTIONS_OPTION_SETTERS_H
#define STEERWAY_OPTIONS_OPTION_SETTERS_H

#include "options/options.h"

option_set_fn option_set_host, option_set_port, option_set_http, option_set_listen, option_set_policy,
    option_set_param, option_set_auth, option_set_auth_file, option_set_allow, option_set_bypass,
    option_set_dial_timeout, option_set_hedge, option_set_handshake_timeout, option_set_idle_timeout,
    option_set_drain_timeout, option_set_threads, option_set_dns, option_set_check, option_set_check_interval,
    option_set_cut_after, option_set_ack_timeout, option_set_data_dir, option_set_debug, option_set_quiet,
    option_set_log_format, option_set_control, option_set_state, option_set_no_watch, option_set_no_jit,
    option_set_fast_open, option_set_ipv6_source, option_set_listen_strict, option_set_record,
    option_set_deny, option_set_allow_own_addresses, option_set_own_mark, option_set_proxy_protocol_from,
    option_set_forward, option_set_transparent, option_set_transparent_resolve, option_set_peek_timeout,
    option_set_pac_bypass, option_set_pac_direct, option_set_bind_from, option_set_bind_timeout,
    option_set_udp_filter, option_set_udp_idle, option_set_udp_ports, option_set_udp_advertise,
    option_set_udp_mappings, option_set_log_to, option_set_run_as;

/* Limits. */
option_set_fn option_set_max_clients, option_set_max_connections, option_set_client_connections,
    option_set_client_new, option_set_client_handshakes, option_set_rate_client, option_set_rate_user;

#endif
