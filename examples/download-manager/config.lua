-- Two lines of the same speed, for programs that open many connections at once.
--
--   steerway check --config examples/download-manager/config.lua
--   steerway start --config examples/download-manager/config.lua

return {
  listen = "localhost:1080",

  -- Fewest live connections: a segment that ends early makes room on its own line.
  policy = "least_connections",

  uplinks = {
    { interface = "eth0", name = "dsl1" },
    { interface = "eth1", name = "dsl2" },
  },

  -- Many segments begin at once. A server that does not answer by one line is tried by the other after three seconds.
  dial_timeout = 6,
}
