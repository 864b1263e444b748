-- A random choice in proportion to weight, independent of earlier choices.
--
-- Options: none; weights are the uplinks' own (eth0@7 wlan0@3).
-- Trade-off: it has no state, and clients cannot steer it, but few connections may spread unevenly: of 100 over two
-- equal lines, one gets more than 60 in about one case of 28.

local balance = require "steerway.balance"

return {
  name = "random",
  about = "A random draw in proportion to weight.",
  params = {},

  ---@param ctx steerway.Ctx
  new = function(ctx)
    return { pick = balance.weighted_random(ctx.random) }
  end,
}
