-- Two lines at home, both paid for by the month: use both, each for as much as it can carry.
--
--   steerway check --config examples/two-home-lines/config.lua
--   steerway start --config examples/two-home-lines/config.lua

return {
  -- Where programs of this computer find the proxy. SOCKS and HTTP alike.
  listen = "localhost:1080",

  -- A new connection goes where there are fewest, in proportion to weight.
  policy = "least_connections",

  uplinks = {
    -- `steerway list` shows what your interfaces are called. The weights are the lines' megabits per second here; only
    -- their proportion counts, so 25 and 4 would do the same.
    { interface = "eth0", name = "fibre", weight = 100 },
    { interface = "wlan0", name = "dsl", weight = 16 },
  },
}
