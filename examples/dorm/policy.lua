-- Soonest to answer among the lines that cost nothing; a metered line only for small things, or when no other is left.
--
-- Options: slack, patience (see below). Tags are the uplinks' own (tags = { "metered" }).
-- Trade-off: the phone is kept for what is small by its port; a large download over HTTPS looks like a small page.

local balance = require "steerway.balance"

local SMALL = { [22] = true, [993] = true, [587] = true, [5222] = true, [5228] = true, [443] = true, [80] = true }

return {
  name = "dorm",
  about = "Soonest to answer among the lines that cost nothing; metered ones for small things when these are slow.",
  params = {
    slack = { type = "number", default = 0.5, min = 0, about = "how much slower than the best a line may be to share" },
    patience = { type = "number", default = 0.4, min = 0, about = "seconds of connecting that make a line slow" },
  },

  ---@param ctx steerway.Ctx
  new = function(ctx)
    local slack, patience = ctx.params.slack, ctx.params.patience
    local best = 0 -- of the pick under way

    local soonest = balance.only(function(u)
      return u.connect_time <= best * (1 + slack)
    end, balance.least_connections())

    -- Whether it may be used for this: all lines but metered ones, and these for small things while the others are slow.
    local free_is_slow = false
    local allowed = balance.only(function(u, conn)
      return not u.tags.metered or free_is_slow and SMALL[conn.port] == true
    end, function(conn, uplinks, n)
      best = math.huge
      for i = 1, n do
        best = math.min(best, uplinks[i].connect_time)
      end
      return soonest(conn, uplinks, n)
    end)

    return {
      pick = function(conn, uplinks)
        free_is_slow = true
        for i = 1, #uplinks do
          local u = uplinks[i]
          free_is_slow = free_is_slow and (u.tags.metered or u.connect_time > patience)
        end
        local u = allowed(conn, uplinks)
        return u, u.tags.metered and "the others are slow or gone" or "soonest to answer"
      end,
    }
  end,
}
