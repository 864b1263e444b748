-- Uses the line with the largest share: learned capacity, divided by the busy connections on it and the new one.
-- Sixteen downloads over lines of 100 and 10 Mbit/s spread about fifteen to one, without configured weights.
--
-- Options: direction, explore (see below). Weights count only for lines of unknown capacity.
-- Trade-off: made to fill unequal lines. A capacity is learned only by use. So a new line counts as average for its
-- first seconds, and an unused line is tried now and then. Pages never fill a fast line for long enough, so what it
-- carries counts as well. Small requests do not get a faster line.

local balance = require "steerway.balance"

return {
  name = "fair_share",
  about = "The largest learned capacity for each busy connection.",
  params = {
    direction = {
      type = "string", default = "auto", enum = { "auto", "down", "up" }, about = "auto: the one with more traffic",
    },
    explore = { type = "number", default = 100, min = 2, about = "picks without use after which a line is tried" },
  },

  ---@param ctx steerway.Ctx
  new = function(ctx)
    return { pick = balance.fair_share(ctx, { direction = ctx.params.direction, explore = ctx.params.explore }) }
  end,
}
