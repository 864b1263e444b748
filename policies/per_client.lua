-- Each client keeps one line: all connections from one address leave by the same uplink. A new client gets the line
-- with the fewest clients, in proportion to weight.
--
-- Options: ttl, capacity (see below).
-- Trade-off: clients are spread, whatever each of them does. A busy client never gets two lines at once, and never
-- slows clients on the others.

local balance = require "steerway.balance"
local sticky = require "steerway.sticky"

return {
  name = "per_client",
  about = "One line for each client; a new client gets the line with the fewest.",
  params = {
    ttl = { type = "number", default = 3600, min = 1, about = "seconds without a connection after which a client is forgotten" },
    capacity = { type = "number", default = 1000, min = 1, max = 100000, about = "clients remembered" },
  },

  ---@param ctx steerway.Ctx
  new = function(ctx)
    local clients = {} -- by uplink id, at the last new client
    local least = balance.least_of(function(u)
      return (clients[u.id] or 0) / u.weight
    end, "fewest clients")

    local choose, memory
    choose, memory = sticky(ctx, {
      by = "client", ttl = ctx.params.ttl, capacity = ctx.params.capacity,
      inner = function(conn, uplinks, n)
        clients = memory.tally()
        return least(conn, uplinks, n)
      end,
    })

    return { pick = choose, export = memory.export, import = memory.import }
  end,
}
