-- Avoids uplinks whose quota is used up: local quota = require "steerway.quota".

local balance = require "steerway.balance"
local options = require "steerway.options"

---@class steerway.QuotaOptions
---@field inner steerway.Chooser  chooses among uplinks with quota left
---@field reserve? number    bytes to keep in reserve; 0 if nil
---@field hard? boolean      refuse when all quotas are used up; else exceed them

---A chooser that leaves out uplinks whose quota is used up.
---@param o steerway.QuotaOptions
---@return steerway.Chooser
return function(o)
  options.check("quota", o, { inner = "chooser", reserve = "number?", hard = "boolean?" })
  local reserve = o.reserve or 0
  local within = balance.only(function(u)
    return u.quota_left > reserve
  end, o.inner, o.hard)

  return function(conn, uplinks, n)
    local chosen, reason, opts = within(conn, uplinks, n)
    if chosen == nil and o.hard then
      return false, "all quotas are used up"
    end
    return chosen, reason, opts
  end
end
