-- The office uses the line tagged "work" and no other. Films use the line tagged "films" while it works. For the
-- rest, each device keeps one line for each site.
--
-- Options: none; the lists stand below, and the tags are the uplinks' own.
-- Trade-off: rules see names and addresses. A service under an unlisted name is treated like any other traffic.

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
