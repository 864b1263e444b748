-- For a household: each device keeps one line for one site, so that no bank or shop sees an address change during a
-- visit. One computer, the office, uses the line of its choice. A site is a registrable domain: www.example.com and
-- img.example.com are one.
--
-- Options: office, line (see below). Weights are the uplinks' own.
-- Trade-off: devices and sites are spread, not load. Many of them spread evenly, and few do not.

local balance = require "steerway.balance"

return {
  name = "household",
  about = "One line for each pair of device and site; the office computer has the line of its choice.",
  params = {
    office = { type = "string", default = "", about = "address of the office computer; none if empty" },
    line = { type = "string", default = "fibre", about = "name of the uplink that the office prefers" },
  },

  ---@param ctx steerway.Ctx
  new = function(ctx)
    local office, line = ctx.params.office, ctx.params.line

    -- Has no memory: a key always gets the same line, also after a restart. When a line is missing, only its own
    -- sites move.
    local by_site = balance.rendezvous(ctx.hash, function(conn)
      return conn.client .. " " .. ctx.site(conn.host)
    end)

    return {
      pick = function(conn, uplinks)
        for i = 1, #uplinks do
          if conn.client == office and uplinks[i].name == line then
            return uplinks[i], "the office's line"
          end
        end
        return by_site(conn, uplinks), "this device's line for the site"
      end,
    }
  end,
}
