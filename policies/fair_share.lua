-- The largest share of a line: learned capacity, divided by those that are busy on it and the one that comes. Sixteen downloads
-- over lines of 100 and 10 Mbit/s are spread about fifteen to one, without a weight being given.
--
-- Options: direction (see below). Weights count for lines whose capacity is not known yet, and for no others.
-- Trade-off: made to fill unequal lines. A capacity is learned only by use, so for the first seconds of its life a line is
-- taken for an average one; and what is small gets no quicker line than what is large.

local balance = require "steerway.balance"

local CAPACITY = {
  down = function(u) return u.rx_capacity end,
  up = function(u) return u.tx_capacity end,
  both = function(u) return u.rx_capacity + u.tx_capacity end,
}

return {
  name = "fair_share",
  about = "The largest learned capacity for each busy connection.",
  params = {
    direction = { type = "string", default = "down", enum = { "down", "up", "both" }, about = "which capacity counts" },
  },

  ---@param ctx steerway.Ctx
  new = function(ctx)
    local capacity = CAPACITY[ctx.params.direction]
    local typical = 1 -- the capacity for each unit of weight of lines that have one

    -- Negative, as the least is chosen.
    local share = balance.least_of(function(u)
      local known = capacity(u)
      return -(known > 0 and known or typical * u.weight) / (u.busy + 1)
    end, "largest share")

    return {
      pick = function(conn, uplinks)
        local sum, weight = 0, 0
        for i = 1, #uplinks do
          local known = capacity(uplinks[i])
          if known > 0 then
            sum, weight = sum + known, weight + uplinks[i].weight
          end
        end
        typical = weight > 0 and sum / weight or 1
        return share(conn, uplinks)
      end,
    }
  end,
}
