-- The line that answers soonest, by the smoothed time that connecting took. Lines that are nearly as quick share the
-- connections, and each of the others is tried now and then, since only what is used is measured.
--
-- Options: slack, explore (see below). Weights make a line seem quicker: at weight 2 it may take twice the time.
-- Trade-off: made for what feels slow, chats, games, small pages. It asks nothing about speed in bytes: a quick thin line gets
-- the big downloads too.

local balance = require "steerway.balance"

return {
  name = "least_latency",
  about = "The uplink that connects soonest; near equals share.",
  params = {
    slack = { type = "number", default = 0.25, min = 0, max = 10, about = "how much slower than the best is level" },
    explore = { type = "number", default = 20, min = 1, about = "seconds without use after which a line is tried" },
  },

  ---@param ctx steerway.Ctx
  new = function(ctx)
    return { pick = balance.least_latency(ctx, { slack = ctx.params.slack, explore = ctx.params.explore }) }
  end,
}
