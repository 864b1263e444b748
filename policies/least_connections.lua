-- Fewest live connections, in proportion to weight: an uplink of weight 7 gets 7 connections for every 3 of an uplink
-- of weight 3. Equal uplinks, such as idle ones, take turns by weight.
--
-- Options: none; weights are the uplinks' own (eth0@7 wlan0@3).
-- Trade-off: counts connections, not bytes: a large download weighs as much as an idle chat. A good choice when you
-- know how your lines compare and nothing else.

local balance = require "steerway.balance"

return {
  name = "least_connections",
  about = "Fewest live connections, in proportion to weight.",
  params = {},

  ---@param _ steerway.Ctx
  new = function(_)
    return { pick = balance.least_connections() }
  end,
}
