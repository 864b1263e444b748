-- Fewest bytes moved by the connections that are live, in proportion to weight: a line that is busy with a large download is
-- left to it, however few its connections are.
--
-- Options: none; weights are the uplinks' own (eth0@7 wlan0@3).
-- Trade-off: looks at what was moved, not at how fast: a download that has just begun weighs nothing yet, and an old one that
-- has gone quiet still weighs. Where connections come in bursts of large ones, fair_share spreads them better.

local balance = require "steerway.balance"

return {
  name = "least_traffic",
  about = "Fewest bytes moved by live connections, in proportion to weight.",
  params = {},

  ---@param ctx steerway.Ctx
  new = function(ctx)
    local settled = {} -- by uplink id: bytes of connections that have ended
    for id, u in ipairs(ctx.uplinks) do
      settled[id] = u.tx_bytes + u.rx_bytes
    end

    local function live(u)
      local total = u.tx_bytes + u.rx_bytes
      if u.active == 0 then -- whatever went amiss in the reckoning is mended
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
