-- The fastest line to answer among those without a volume limit; a metered line only for small things, or when no
-- other is left.
--
-- Options: slack, explore, patience (see below). Tags are the uplinks' own (tags = { "metered" }).
-- Trade-off: the phone is kept for traffic whose port says that it is small; a large download over HTTPS looks like a
-- small page.

local balance = require "steerway.balance"

local SMALL = { [22] = true, [993] = true, [587] = true, [5222] = true, [5228] = true, [443] = true, [80] = true }

return {
  name = "dorm",
  about = "Soonest to answer among the lines that cost nothing; metered ones for small things when these are slow.",
  params = {
    slack = { type = "number", default = 0.5, min = 0, about = "how much slower than the best a line may be to share" },
    explore = { type = "number", default = 20, min = 1, about = "seconds without use after which a line is tried" },
    patience = { type = "number", default = 0.4, min = 0, about = "seconds of connecting that make a line slow" },
  },

  ---@param ctx steerway.Ctx
  new = function(ctx)
    local p = ctx.params
    local soonest = balance.least_latency(ctx, { slack = p.slack, explore = p.explore })

    -- A line that fails every second time is slow, however fast its other connections are.
    local function is_slow(u)
      return u.connect_time > p.patience or u.fail_rate > 0.5
    end

    -- All lines except metered ones; those carry small things while the others are slow.
    local free_is_slow = false
    local allowed = balance.only(function(u, conn)
      return not u.tags.metered or free_is_slow and SMALL[conn.port] == true
    end, soonest)

    return {
      pick = function(conn, uplinks)
        free_is_slow = true
        for i = 1, #uplinks do
          free_is_slow = free_is_slow and (uplinks[i].tags.metered or is_slow(uplinks[i]))
        end
        local u, reason = allowed(conn, uplinks)
        return u, u.tags.metered and "the others are slow or gone" or reason
      end,
    }
  end,
}
