-- Films use the line tagged "films", and work the one tagged "work", while they work. For the rest, each device keeps
-- one line for each site.
--
-- Options: none; the lists stand below, and the tags are the uplinks' own.
-- Trade-off: the name is the one in a connection's first bytes. Without one, rules see the address only.

local balance = require "steerway.balance"
local rules = require "steerway.rules"
local sticky = require "steerway.sticky"

local FILMS = { "nflxvideo.net", "googlevideo.com", "ttvnw.net", "aiv-cdn.net", "dssott.com" }
local WORK = { "example.com", "zoom.us", "teams.microsoft.com" }

return {
  name = "router",
  about = "Films by one line, work by the other, each site of a device on one line.",
  params = {},

  ---@param ctx steerway.Ctx
  new = function(ctx)
    local rest, memory = sticky(ctx, { by = "client_and_site", ttl = 1800, inner = balance.least_connections() })

    return {
      pick = rules(ctx, {
        { domains = FILMS, tag = "films", reason = "film" },
        { domains = WORK, ports = { 22, 500, 4500 }, tag = "work", reason = "work" },
      }, rest),
      export = memory.export,
      import = memory.import,
    }
  end,
}
