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
  -- Broken Wi-Fi drops data without an error, so do not wait for it long. This is the limit for all lines together.
  dial_timeout = 6,
}
