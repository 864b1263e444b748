-- For a household: each device keeps one line for one site, so that no bank or shop sees somebody's address change in the
-- middle of a visit; and one computer, the office, has the line of its choice. A site is a registrable domain:
-- www.example.com and img.example.com are one.
--
-- Options: office, line (see below). Weights are the uplinks' own.
-- Trade-off: the spread is by devices and sites, not by load, so it evens out over many of both and not over few.

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

    -- Remembers nothing: the same line each time, over restarts too, and when one is missing only its own sites move.
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
