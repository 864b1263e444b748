-- The best tier that works: tier 2 is used only while nothing of tier 1 can serve, and left again as soon as it can. Within
-- a tier, fewest live connections in proportion to weight.
--
-- Options: none; tiers are the uplinks' own, set in the config file (tier = 2 for the LTE stick).
-- Trade-off: a backup stays cheap because it stays idle, so its speed adds nothing while the main line works.

local balance = require "steerway.balance"

return {
  name = "failover",
  about = "The lowest tier that works; within it, fewest live connections.",
  params = {},

  ---@param _ steerway.Ctx
  new = function(_)
    local lowest_tier = balance.lowest_tier()
    local least = balance.least_of(function(u)
      return u.active / u.weight
    end)

    return {
      pick = function(_, uplinks)
        local first, n = lowest_tier(uplinks)
        return least(first, n), first[1].tier == 1 and "first tier" or "backup tier"
      end,
    }
  end,
}
