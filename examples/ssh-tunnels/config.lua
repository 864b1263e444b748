-- Two tunnels that ssh -w has made.
--
--   steerway check --config examples/ssh-tunnels/config.lua
--   steerway start --config examples/ssh-tunnels/config.lua

return {
  listen = "localhost:1080",

  -- Each server in its turn. sticky_site keeps a site on one of them.
  policy = "round_robin",

  uplinks = {
    -- May come later: a tunnel that is made again is found within seconds.
    { interface = "tun0", name = "one" },
    { interface = "tun1", name = "two" },
  },

  -- SSH notices a dead line late: do not wait for it.
  dial_timeout = 8,
}
