-- A gateway machine: every device behind it uses both lines, and none of them is set up for a proxy.
--
--   steerway check --config examples/router/config.lua
--   steerway start --config examples/router/config.lua
--   steerway capture on --lan eth0

return {
  -- Where captured connections come in, only from this machine itself.
  transparent = { "tproxy:localhost:1081" },

  -- A proxy as well, for devices that know one. "192.168.1.1" is this machine's address in the home network.
  listen = { "localhost:1080", "192.168.1.1:1080" },

  -- Private addresses are served. A home network with public IPv6 addresses needs its range here:
  -- allow = { "127.0.0.0/8", "::1", "192.168.1.0/24", "2001:db8:77::/64" },

  -- The policy in the file beside this one. Edit it while the proxy runs: saving reloads it.
  policy = "policy.lua",

  uplinks = {
    { interface = "eth1", name = "fibre", weight = 100, tags = { "work" } },
    { interface = "eth2", name = "cable", weight = 50, tags = { "films" } },
  },
}
