-- The wall, the Wi-Fi, and a phone by USB.
--
--   steerway check --config examples/dorm/config.lua
--   steerway start --config examples/dorm/config.lua

return {
  listen = "localhost:1080",
  policy = "./policy.lua",
  uplinks = {
    { interface = "eth0", name = "wall" },
    { interface = "wlan0", name = "wifi" },
    { interface = "usb0", name = "phone", tags = { "metered" } },
  },
  -- Broken Wi-Fi swallows what it is given: do not wait for it long. A client waits this long in all, by whatever lines.
  dial_timeout = 6,
}
