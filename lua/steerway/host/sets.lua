-- Sets that a policy builds once and asks for each connection: ctx.domains, ctx.cidrs, ctx.match.

local cidrs = require "steerway.host.cidrs"
local domains = require "steerway.host.domains"

local sets = {}

-- What is inside of a set lies in here, for a policy must not come by a pointer.
local match_of = setmetatable({}, { __mode = "k" })

local function sealed(name, match, count)
  local set = setmetatable({}, {
    __metatable = false,
    __newindex = function()
      error("a set cannot be changed", 2)
    end,
    __tostring = function()
      return ("%s (%d)"):format(name, count)
    end,
  })
  match_of[set] = match
  return set
end

---@class steerway.Set  opaque

---"example.com" stands for itself and all below it, ".example.com" and "*.example.com" for what is below alone, "=example.com"
---for nothing but itself.
---@param given string[]|{ file: string }
---@param read fun(path: string): string|nil, string|nil
---@return steerway.Set
function sets.domains(given, read)
  return sealed("domains", domains.new(given, read))
end

---Addresses and ranges of both families; an IPv4-mapped address of IPv6 is the one of IPv4.
---@param given string[]|{ file: string }
---@param read fun(path: string): string|nil, string|nil
---@return steerway.Set
function sets.cidrs(given, read)
  return sealed("cidrs", cidrs.new(given, read))
end

---Whether the set holds it: a name for domains, an address for cidrs.
---@param set steerway.Set
---@param text string
---@return boolean
function sets.match(set, text)
  local match = match_of[set]
  if not match then
    error(("ctx.match: expected a set that ctx.domains or ctx.cidrs made, got %s"):format(type(set)), 2)
  elseif type(text) ~= "string" then
    error(("ctx.match: expected a name or an address, got %s"):format(type(text)), 2)
  end
  return match(text)
end

return sets
