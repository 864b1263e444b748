-- Fewest bytes moved by live connections, in proportion to weight: a line with a large download gets no new
-- connections, even if it has few.
--
-- Options: none; weights are the uplinks' own (eth0@7 wlan0@3).
-- Trade-off: counts bytes so far, not speed. A download that has just begun weighs nothing yet, and an old one that
-- is now idle still weighs. For bursts of large connections, fair_share spreads better.

local balance = require "steerway.balance"

return {
  name = "least_traffic",
  about = "Fewest bytes moved by live connections, in proportion to weight.",
  params = {},

  ---@param ctx steerway.Ctx
  new = function(ctx)
    local settled = {} -- by uplink id: bytes of connections that have ended
    for _, u in ipairs(ctx.uplinks) do
      settled[u.id] = u.tx_bytes + u.rx_bytes
    end

    local function live(u)
      local total = u.tx_bytes + u.rx_bytes
      if u.active == 0 then -- reset: an idle line has no bytes of live connections
        settled[u.id] = total
      end
      return (total - (settled[u.id] or 0)) / u.weight
    end

    return {
      pick = balance.least_of(live, "least live traffic"),

      closed = function(_, u, stats)
        settled[u.id] = math.min(u.tx_bytes + u.rx_bytes, (settled[u.id] or 0) + stats.tx + stats.rx)
      end,

      export = function() return settled end,
      import = function(t) settled = t end,
    }
  end,
}
