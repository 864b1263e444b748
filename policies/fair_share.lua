-- The largest share of a line: learned capacity, divided by those that are busy on it and the one that comes. Sixteen downloads
-- over lines of 100 and 10 Mbit/s are spread about fifteen to one, without a weight being given.
--
-- Options: direction, explore (see below). Weights count for lines whose capacity is not known yet, and for no others.
-- Trade-off: made to fill unequal lines. A capacity is learned only by use, so for the first seconds of its life a line is
-- taken for an average one, and one that is passed over is tried now and then. What is small gets no quicker line for it.

local balance = require "steerway.balance"

local function down(u) return u.rx_capacity end
local function up(u) return u.tx_capacity end
local DIRECTIONS = { "auto", "down", "up" }

return {
  name = "fair_share",
  about = "The largest learned capacity for each busy connection.",
  params = {
    direction = { type = "string", default = "auto", enum = DIRECTIONS, about = "which counts; auto: where more moves" },
    explore = { type = "number", default = 100, min = 2, about = "passed over so many times, a line is tried" },
  },

  ---@param ctx steerway.Ctx
  new = function(ctx)
    local direction, explore = ctx.params.direction, ctx.params.explore
    local capacity, typical = direction == "up" and up or down, 1 -- of a unit of weight, where it is known
    local passed = {} -- by uplink id: picks since its last one
    local share = balance.least_of(function(u)
      local known = capacity(u)
      return -(known > 0 and known or typical * u.weight) / (u.busy + 1) -- negative, as the least is chosen
    end, "largest share")

    return {
      pick = function(conn, uplinks)
        local sum, weight, sent, starved = 0, 0, 0, nil
        for i = 1, #uplinks do
          local u, known = uplinks[i], capacity(uplinks[i])
          if known > 0 then sum, weight = sum + known, weight + u.weight end
          sent, passed[u.id] = sent + u.tx_rate - u.rx_rate, (passed[u.id] or 0) + 1
          if passed[u.id] > explore then starved = u end
        end
        if direction == "auto" then capacity = sent > 0 and up or down end
        typical = weight > 0 and sum / weight or 1
        local chosen, reason = starved, "to measure it anew"
        if not starved then chosen, reason = share(conn, uplinks) end
        passed[chosen.id] = 0
        return chosen, reason
      end,
    }
  end,
}
