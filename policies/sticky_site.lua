-- Each client keeps one line for each site, so that no bank or shop sees an address change during a visit. A site is
-- a registrable domain: www.example.com and img.example.com are one. A new pair of client and site gets the line with
-- the fewest connections.
--
-- Options: ttl, capacity (see below).
-- Trade-off: spreads sites, not connections: a download manager with 16 connections to one host has one line for them
-- all. When a line fails, only its own sites move.

local balance = require "steerway.balance"
local sticky = require "steerway.sticky"

return {
  name = "sticky_site",
  about = "One line for each client and site; new ones go by fewest connections.",
  params = {
    ttl = { type = "number", default = 1800, min = 1, about = "seconds without a connection after which a site may move" },
    capacity = { type = "number", default = 10000, min = 1, max = 100000, about = "pairs of client and site remembered" },
  },

  ---@param ctx steerway.Ctx
  new = function(ctx)
    local choose, memory = sticky(ctx, {
      by = "client_and_site", ttl = ctx.params.ttl, capacity = ctx.params.capacity, inner = balance.least_connections(),
    })

    return { pick = choose, export = memory.export, import = memory.import }
  end,
}
