-- Lines with a tag are for certain hours: a contract that is free at night, a line that the office needs by day.
-- During these hours they carry everything; at other times they are used only when no other line works.
--
-- Options: hours, days, tag, strict (see below). Tags are the uplinks' own, set in the config file (tags = { "night"
-- }).
-- Trade-off: connections that are open when the hours begin or end stay on their line.

local balance = require "steerway.balance"
local hours = require "steerway.hours"

return {
  name = "time_of_day",
  about = "Tagged lines during certain hours, the others at other times.",
  params = {
    hours = { type = "string", default = "00:00-06:00", about = "from when to when, by local time; may go over midnight" },
    days = { type = "string", default = "mon-sun", about = "on which days: mon-fri, or sat,sun" },
    tag = { type = "string", default = "night", about = "tag of the lines for these hours" },
    strict = { type = "boolean", default = false, about = "refuse rather than use a line at the wrong time" },
  },

  ---@param ctx steerway.Ctx
  new = function(ctx)
    local p = ctx.params
    local is_time, now = hours.within(p.hours, p.days, ctx.time), false
    local choose = balance.only(function(u)
      return (u.tags[p.tag] == true) == now
    end, balance.least_connections(), p.strict)

    return {
      pick = function(conn, uplinks)
        now = is_time()
        local u = choose(conn, uplinks)
        if not u then
          return false, "no line is for this hour"
        end
        return u, now and "its hours" or "outside the hours"
      end,
    }
  end,
}
