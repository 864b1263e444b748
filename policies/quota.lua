-- Avoids lines whose quota is used up while another line can serve. Otherwise uses the best tier that works, and
-- fewest connections within it.
--
-- Options: reserve, hard (see below). The quotas are the uplinks' own, set in the config file.
-- Trade-off: soft by default, so that clients are served when every quota is used up; with hard, new connections are
-- refused then.

local balance = require "steerway.balance"
local quota = require "steerway.quota"

return {
  name = "quota",
  about = "Lines within their quota first; the best tier, fewest connections.",
  params = {
    reserve = { type = "number", default = 0, min = 0, about = "bytes of each quota that are left alone" },
    hard = { type = "boolean", default = false, about = "refuse connections when all quotas are used up" },
  },

  ---@param ctx steerway.Ctx
  new = function(ctx)
    return {
      pick = quota {
        reserve = ctx.params.reserve,
        hard = ctx.params.hard,
        inner = balance.tiers(balance.least_connections()),
      },
    }
  end,
}
