-- Two servers that are reached by SSH. ssh -D makes a SOCKS proxy of each. Such a parent proxy is an uplink like any
-- other.
--
--   steerway check --config examples/ssh-tunnels/config.lua
--   steerway start --config examples/ssh-tunnels/config.lua

return {
  listen = "localhost:1080",

  -- The servers take turns. The policy sticky_site would keep a site on one of them.
  policy = "round_robin",

  uplinks = {
    { upstream = "socks5://127.0.0.1:7001", name = "one" },
    { upstream = "socks5://127.0.0.1:7002", name = "two" },
  },

  -- SSH notices a dead line late, so do not wait for it.
  dial_timeout = 8,
}
