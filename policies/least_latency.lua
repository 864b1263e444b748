-- Uses the line that answers fastest, by its smoothed connect time. Lines that are nearly as fast share the
-- connections. Each other line is tried now and then, since only use measures it, and more often while its time falls.
--
-- Options: slack, explore (see below). A higher weight makes a line count as faster: at weight 2 it may take twice
-- the time.
-- Trade-off: made for chats, games and small pages, which need short delays. It ignores bandwidth: a fast answering,
-- thin line gets big downloads too.

local balance = require "steerway.balance"

return {
  name = "least_latency",
  about = "The uplink that connects soonest; those of nearly equal time share.",
  params = {
    slack = { type = "number", default = 0.25, min = 0, max = 10, about = "how much slower a line may be and count as equal" },
    explore = { type = "number", default = 20, min = 1, about = "seconds without use after which a line is tried" },
  },

  ---@param ctx steerway.Ctx
  new = function(ctx)
    return { pick = balance.least_latency(ctx, { slack = ctx.params.slack, explore = ctx.params.explore }) }
  end,
}
