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
    local slack, explore = ctx.params.slack, ctx.params.explore
    local least = balance.least_connections()
    local last = {} -- by uplink id: when it was chosen
    local best = 0 -- of the pick under way

    -- A line without a time has not connected yet, and may never.
    local near = balance.only(function(u)
      return u.connect_time > 0 and u.connect_time / u.weight <= best * (1 + slack)
    end, least)

    return {
      pick = function(conn, uplinks)
        best = math.huge
        local rested
        for i = 1, #uplinks do
          local u = uplinks[i]
          if conn.now - (last[u.id] or -math.huge) >= explore then
            rested = rested or u
          end
          best = u.connect_time > 0 and math.min(best, u.connect_time / u.weight) or best
        end
        local chosen = rested or near(conn, uplinks)
        last[chosen.id] = conn.id > 0 and conn.now or nil -- a pick on trial measures nothing
        return chosen, rested and "to measure it" or "soonest to answer"
      end,
    }
  end,
}
