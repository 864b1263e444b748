-- The uplinks take turns, in proportion to weight, evenly interleaved (7:3 goes a b a a a b a a b a).
--
-- Options: none; weights are the uplinks' own (eth0@7 wlan0@3).
-- Trade-off: ignores how long connections live, so one line may get all the long ones. The spread of new connections
-- is exact, which suits many short connections of equal size.

local balance = require "steerway.balance"

return {
  name = "round_robin",
  about = "Each uplink in turn, in proportion to weight.",
  params = {},

  ---@param _ steerway.Ctx
  new = function(_)
    return { pick = balance.smooth() }
  end,
}
