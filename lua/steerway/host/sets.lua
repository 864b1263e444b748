-- Sets that a policy makes once and uses for each connection: ctx.domains, ctx.cidrs, ctx.match.

local cidrs = require "steerway.host.cidrs"
local domains = require "steerway.host.domains"
local ffi = require "ffi"
local lines = require "steerway.host.lines"
local listing = require "steerway.host.listing"

local sets = {}

-- The contents of the sets. They stay here, since a policy must not get a pointer.
local match_of = setmetatable({}, { __mode = "k" })

local function sealed(name, match, count)
  local set = setmetatable({}, {
    __metatable = false,
    __index = function()
      error("a set has no fields: ctx.match(set, text) tells whether it holds a text", 2)
    end,
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

-- Sets that the engine builds in C from files (engine/lib/sets/lists.h). A look-up is one call into C, which compiled
-- code can make; it allocates nothing.
local engine = nil
local match_t = ffi.typeof "int (*)(const void *, const char *, size_t)"
local pointer_t = ffi.typeof "const void *"

---@class steerway.EngineLists
---@field list fun(kind: string, path: string): lightuserdata|false|nil, integer|string|nil  the set and its count; false: it must
---  be read first, and this load is abandoned; or nil and an error
---@field domains lightuserdata  int (*)(set, text, len)
---@field cidrs lightuserdata    likewise

---The engine reads files itself.
---@param services steerway.EngineLists
function sets.use(services)
  engine = {
    list = services.list,
    domains = ffi.cast(match_t, services.domains),
    cidrs = ffi.cast(match_t, services.cidrs),
  }
end

local function nothing()
  return false
end

-- One closure for each set, so that compiled code treats it as a constant.
local function matcher(match, set)
  return function(text)
    local answer = match(set, text, #text)
    if answer < 0 then -- the host is not ASCII
      local ascii = lines.to_ascii(text)
      answer = ascii and match(set, ascii, #ascii) or 0
    end
    return answer > 0
  end
end

local function of_engine(kind, path)
  local set, count = engine.list(kind, path)
  if set == nil then
    listing.refuse(kind, "%s", count)
  elseif set == false then
    return sealed(kind, nothing, 0)
  end
  return sealed(kind, matcher(engine[kind], ffi.cast(pointer_t, set)), count)
end

local function make(kind, new, given, files)
  if not engine or not listing.check(kind, given) then
    return sealed(kind, new(given, files.read, files.log))
  end
  local path, wrong = files.place(given.file)
  if not path then
    listing.refuse(kind, "%s", wrong)
  end
  return of_engine(kind, path)
end

---@class steerway.Files
---@field read fun(path: string): string|nil, string|nil   below the policy's folder
---@field place? fun(path: string): string|nil, string|nil  its whole path
---@field log? fun(level: string, text: string)

---"example.com" means the name and all below it, ".example.com" and "*.example.com" only what is below,
---"=example.com" only the name itself. lines.lua has the other forms.
---@param given string[]|{ file: string }
---@param files? steerway.Files
---@return steerway.Set
function sets.domains(given, files)
  return make("domains", domains.new, given, files or {})
end

---Addresses and ranges of both families. An IPv4-mapped IPv6 address counts as its IPv4 address.
---@param given string[]|{ file: string }
---@param files? steerway.Files
---@return steerway.Set
function sets.cidrs(given, files)
  return make("cidrs", cidrs.new, given, files or {})
end

---Whether the set contains the text: a name for domains, an address for cidrs.
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
