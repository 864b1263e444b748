-- Uses the best tier that works: tier 2 is used only while no uplink of tier 1 can serve. Within a tier, fewest live
-- connections in proportion to weight.
--
-- Options: overflow. Tiers are the uplinks' own, set in the config file (tier = 2 for the LTE stick).
-- Trade-off: a backup stays cheap because it stays idle, so its speed adds nothing while the main line works. With
-- overflow it is used as well when every line of the first tier has that many connections.

local balance = require "steerway.balance"

return {
  name = "failover",
  about = "The lowest tier that works; within it, fewest live connections.",
  params = {
    overflow = { type = "number", min = 1, about = "live connections per weight that make a line full" },
  },

  ---@param ctx steerway.Ctx
  new = function(ctx)
    local overflow = ctx.params.overflow
    local least = balance.least_of(function(u)
      return u.active / u.weight
    end, "first tier")

    return {
      pick = balance.tiers(least, overflow and function(u)
        return u.active >= overflow * u.weight
      end),
    }
  end,
}
