-- One of the instances behind HAProxy. All of them run with this file, each on a machine of its own.
--
--   steerway check --config examples/cluster/config.lua
--   steerway start --config examples/cluster/config.lua

return {
  -- HAProxy connects here, and tells each client's address by the PROXY protocol.
  listen = "*:1080,proxy-protocol",

  -- HAProxy's own address. Whoever may send such headers can claim any address: name nothing else here.
  proxy_protocol_from = "10.0.0.10",

  -- Clients, by the addresses that HAProxy tells; and HAProxy itself, for its checks.
  allow = { "10.0.0.0/16", "192.168.0.0/16" },

  -- Keeps a client at one uplink for each site. HAProxy keeps a client at one instance, so that this holds.
  policy = "sticky_site",

  -- Seconds for open connections to end after SIGTERM.
  drain_timeout = 60,

  uplinks = {
    { interface = "eth1", name = "fibre", weight = 100 },
    { interface = "eth2", name = "cable", weight = 50 },
  },
}
