-- Rules by destination, port, client, user and time; other connections use the line with the fewest. Copy this file
-- to write your own rules; lua/steerway/rules.lua describes all that a rule may contain.
--
-- Options: steady, streaming (see below). Tags are the uplinks' own, set in the config file (tags = { "steady" }).
-- Trade-off: rules see names and ports, not content: a video from an unlisted name is like any other traffic.

local balance = require "steerway.balance"
local rules = require "steerway.rules"

-- A rule for a tag counts only if an uplink has the tag; otherwise the next rule is tried.
local function list(p)
  return {
    { ports = { 22, 3389, "5900-5999" }, tag = p.steady, reason = "remote session" },
    { ports = { 25, 110, 143, 465, 587, 993, 995 }, tag = p.steady, reason = "mail" },
    { domains = { "zoom.us", "teams.microsoft.com", "meet.google.com", "webex.com" }, tag = p.steady, reason = "meeting" },
    { domains = { "googlevideo.com", "nflxvideo.net", "ttvnw.net", "akamaized.net", "aiv-cdn.net" }, tag = p.streaming,
      reason = "video" },
  }
end

return {
  name = "rules",
  about = "Remote sessions, mail and meetings by steady lines, video by streaming ones; the rest by fewest connections.",
  params = {
    steady = { type = "string", default = "steady", about = "tag of the lines for remote sessions, mail and meetings" },
    streaming = { type = "string", default = "streaming", about = "tag of the lines for video" },
  },

  ---@param ctx steerway.Ctx
  new = function(ctx)
    return { pick = rules(ctx, list(ctx.params), balance.least_connections()) }
  end,
}
