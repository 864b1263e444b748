-- Two lines at home with flat rates: use both, each for as much as it can carry.
--
--   steerway check --config examples/two-home-lines/config.lua
--   steerway start --config examples/two-home-lines/config.lua

return {
  -- The address that programs on this computer use, for SOCKS and HTTP alike.
  listen = "localhost:1080",

  -- A new connection uses the line with the fewest connections, in proportion to weight.
  policy = "least_connections",

  uplinks = {
    -- `steerway list` shows the names of your interfaces. The weights here are the lines' megabits per second. Only
    -- their proportion counts, so 25 and 4 would do the same.
    { interface = "eth0", name = "fibre", weight = 100 },
    { interface = "wlan0", name = "dsl", weight = 16 },
  },
}
