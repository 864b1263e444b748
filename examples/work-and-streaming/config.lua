-- Two lines, of which one is for work.
--
--   steerway check --config examples/work-and-streaming/config.lua
--   steerway start --config examples/work-and-streaming/config.lua

return {
  listen = "localhost:1080",
  policy = "./policy.lua",
  uplinks = {
    { interface = "eth0", name = "fibre", tags = { "work" } },
    { interface = "wlan0", name = "cable", tags = { "films" } },
  },
}
