-- The largest share of a line: learned capacity, divided by those that are busy on it and the one that comes. Sixteen downloads
-- over lines of 100 and 10 Mbit/s are spread about fifteen to one, without a weight being given.
--
-- Options: direction, explore (see below). Weights count for lines whose capacity is not known yet, and for no others.
-- Trade-off: made to fill unequal lines. A capacity is learned only by use, so for the first seconds of its life a line is
-- taken for an average one, and one that is passed over is tried now and then. What is small gets no quicker line for it.

local balance = require "steerway.balance"

return {
  name = "fair_share",
  about = "The largest learned capacity for each busy connection.",
  params = {
    direction = {
      type = "string", default = "auto", enum = { "auto", "down", "up" }, about = "which counts; auto: where more moves",
    },
    explore = { type = "number", default = 100, min = 2, about = "passed over so many times, a line is tried" },
  },

  ---@param ctx steerway.Ctx
  new = function(ctx)
    return { pick = balance.fair_share(ctx, { direction = ctx.params.direction, explore = ctx.params.explore }) }
  end,
}
