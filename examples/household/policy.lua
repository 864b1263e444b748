-- For a household: each device keeps one line for one site, so that no bank or shop sees somebody's address change in the
-- middle of a visit; and one computer, the office, has the line of its choice.
--
-- Options: office, line (see below). Weights are the uplinks' own.
-- Trade-off: the spread is by devices and sites, not by load, so it evens out over many of both and not over few.

return {
  name = "household",
  about = "One line for each pair of device and site; the office computer has the line of its choice.",
  params = {
    office = { type = "string", default = "", about = "address of the office computer; none if empty" },
    line = { type = "string", default = "fibre", about = "name of the uplink that the office prefers" },
  },

  new = function(ctx)
    local office, line = ctx.params.office, ctx.params.line
    local hash, log = ctx.hash, math.log

    -- Weighted rendezvous hashing: every uplink draws a number for this device and site, always the same one, and the
    -- highest wins. When an uplink is missing only its own sites move. (Its name stands first, since what comes last in
    -- a text is mixed least into its hash, and the draws of two uplinks would resemble each other.)
    local function draw(conn, u)
      local chance = (hash(u.name .. " " .. conn.client .. " " .. conn.host) + 1) / 4294967297
      return -u.weight / log(chance)
    end

    return {
      pick = function(conn, uplinks)
        local best, high
        for i = 1, #uplinks do
          local u = uplinks[i]
          if conn.client == office and u.name == line then
            return u, "the office's line"
          end
          local drawn = draw(conn, u)
          if not high or drawn > high then
            best, high = u, drawn
          end
        end
        return best, "this device's line for the site"
      end,
    }
  end,
}
