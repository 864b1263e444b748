-- @NAME@: fewest connections, but no metered line as long as another works.
--
-- Your policy begins here. pick is called for each connection: it returns an uplink and, for the log, a reason. conn
-- describes the connection (conn.host, conn.port, conn.client, …), u an uplink (u.name, u.tags, u.active, …).

local balance = require "steerway.balance"

return {
  name = "@NAME@",
  about = "Fewest connections, but no metered line as long as another works.",
  params = {
    metered = { type = "string", default = "metered", about = "tag of the lines that are spared" },
  },

  ---@param ctx steerway.Ctx
  new = function(ctx)
    local spared = ctx.params.metered
    local choose = balance.only(function(u)
      return not u.tags[spared]
    end, balance.least_connections())

    return {
      pick = function(conn, uplinks)
        return choose(conn, uplinks)
      end,
    }
  end,
}
