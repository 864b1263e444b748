-- The office by the line tagged "work" and by no other, films by the one tagged "films" while it works, and for the rest one
-- line for each device and site.
--
-- Options: none; the lists stand below, and the tags are the uplinks' own.
-- Trade-off: rules know names and addresses. What a service hides behind a name of its own goes where the rest goes.

local balance = require "steerway.balance"
local rules = require "steerway.rules"
local sticky = require "steerway.sticky"

local OFFICE_NAMES = { "example.com", "sharepoint.com", "zoom.us", "teams.microsoft.com" }
local OFFICE_ADDRESSES = { "203.0.113.0/24", "2001:db8:aaaa::/48" }
local FILMS = { "nflxvideo.net", "googlevideo.com", "ttvnw.net", "aiv-cdn.net", "dssott.com" }

return {
  name = "work_and_streaming",
  about = "The office by one line alone, films by another, each site on one line.",
  params = {},

  ---@param ctx steerway.Ctx
  new = function(ctx)
    local rest, memory = sticky(ctx, { by = "client_and_site", ttl = 1800, inner = balance.least_connections() })

    return {
      pick = rules(ctx, {
        { domains = OFFICE_NAMES, cidrs = OFFICE_ADDRESSES, tag = "work", strict = true, reason = "office" },
        { ports = { 22, 500, 1194, 4500 }, tag = "work", reason = "remote session" },
        { domains = FILMS, tag = "films", reason = "film" },
      }, rest),
      export = memory.export,
      import = memory.import,
    }
  end,
}
