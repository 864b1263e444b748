-- ctx, the engine's interface for a policy. It is made once for each load and passed to `new`.

local bit = require "bit"
local depth = require "steerway.host.depth"
local ffi = require "ffi"
local got = require "steerway.host.got"
local lru = require "steerway.host.lru"
local nearest = require "steerway.host.nearest"
local sets = require "steerway.host.sets"
local site = require "steerway.host.site"
local types = require "steerway.host.types"

local ctx = {}

---Jenkins' one-at-a-time hash: the same number for the same text on every machine and in every version.
---@param text string
---@return integer  0 .. 2^32 - 1
function ctx.hash(text)
  if type(text) ~= "string" then
    error("ctx.hash: expected a string, got " .. type(text), 2)
  end
  local byte, tobit, lshift, rshift, bxor = string.byte, bit.tobit, bit.lshift, bit.rshift, bit.bxor
  local h = 0
  for i = 1, #text do
    h = tobit(h + byte(text, i))
    h = tobit(h + lshift(h, 10))
    h = bxor(h, rshift(h, 6))
  end
  h = tobit(h + lshift(h, 3))
  h = bxor(h, rshift(h, 11))
  h = tobit(h + lshift(h, 15))
  return h % 4294967296
end

local LEVELS = { "info", "warn", "error" }

-- An error of string.format gets the line that logs. Other errors stay unchanged: the time budget's, or one of a
-- __tostring.
local function refuse_format(level, wrong)
  local fault = type(wrong) == "string" and wrong:gsub("^%S+:%d+: ", ""):match "^(.+) to '"
  if not fault then
    error(wrong, 0)
  end
  error(("ctx.log.%s: %s%s; the first argument is a format: %%d takes a number, %%s any value, and %%%% is a percent sign")
    :format(level, fault, wrong:match "( %b())$" or ""), 3)
end

-- Makes a log function. `all` is its table, which a call with a colon passes.
local function logger(log, level, all)
  return function(fmt, ...)
    if fmt == all then
      error(("ctx.log.%s: call it with a dot, ctx.log.%s(…), not with a colon"):format(level, level), 2)
    elseif type(fmt) ~= "string" then
      error(("ctx.log.%s: expected a text, or a format and its values, got %s"):format(level, got(fmt)), 2)
    end
    local ok, text = depth.pcall(fmt.format, fmt, ...) -- the sandbox's method, which is bounded
    if not ok then
      refuse_format(level, text)
    end
    log(level, text)
  end
end

local function make_log(log)
  local made = {}
  for _, level in ipairs(LEVELS) do
    made[level] = logger(log, level, made)
  end
  return setmetatable(made, {
    __metatable = false,
    __index = function(_, key)
      error(("%s (known: %s)"):format(nearest.complaint("ctx.log", key, LEVELS), table.concat(LEVELS, ", ")), 2)
    end,
    __call = function()
      error("ctx.log is not a function: call ctx.log.info(…), ctx.log.warn(…) or ctx.log.error(…)", 2)
    end,
  })
end

local doubles = ffi.typeof "double *"

-- A number that the engine keeps over reloads. The policy never sees the pointer.
local function meter(what, find, methods)
  return function(name)
    if type(name) ~= "string" or not name:find "^[%a_][%w_]*$" or #name > 63 then
      error(("ctx.%s: expected a name of letters, digits and _ (63 at most), got %s"):format(what, got(name)), 2)
    end
    local address, refusal = find(name, what == "gauge")
    if not address then
      error(("ctx.%s: %s"):format(what, refusal), 2)
    end
    local at = ffi.cast(doubles, address)
    local object = {
      value = function()
        return at[0]
      end,
    }
    local function number(method, self, value)
      if self ~= object then
        error(("%s.%s: call it with a colon, %s:%s(…)"):format(name, method, name, method), 3)
      elseif type(value) ~= "number" then
        error(("%s:%s: expected a number, got %s"):format(name, method, type(value)), 3)
      end
      return value
    end
    for method, change in pairs(methods) do
      object[method] = function(self, value)
        at[0] = change(at[0], number(method, self, value == nil and method == "add" and 1 or value), name)
      end
    end
    return object
  end
end

local COUNTER = {
  add = function(old, n, name)
    if n < 0 or n ~= n then
      error(("%s:add: a counter only grows, got %g; expected a number from 0, or a gauge"):format(name, n), 3)
    end
    return old + n
  end,
}
local GAUGE = {
  add = function(old, n)
    return old + n
  end,
  set = function(_, n)
    return n
  end,
}

-- For a host without an engine: its own numbers.
local function own_metric()
  local kept = {}
  return function(name)
    kept[name] = kept[name] or ffi.new "double[1]"
    return kept[name]
  end
end

-- A list file must be in the policy's folder or below it: policies must not read other files of this machine.
local function files_of(o)
  local function place(path)
    if path:find "^/" or ("/" .. path .. "/"):find("/../", 1, true) or path:find("\0", 1, true) then
      return nil, ("file '%s': expected a path below the policy's folder"):format(path)
    end
    return o.dir .. "/" .. path
  end
  local function read(path)
    local whole, wrong = place(path)
    if not whole then
      return nil, wrong
    end
    return o.read(whole)
  end
  return { read = read, place = place, log = o.log }
end

-- Errors in a policy's arguments get the policy's line.
local function builder(make, files)
  return function(given)
    local ok, made = pcall(make, given, files)
    if not ok then
      error(made, 2)
    end
    return made
  end
end

---@class steerway.CtxOptions
---@field dir string                                    the policy's folder
---@field read fun(path: string): string|nil, string|nil
---@field params table<string, any>
---@field log fun(level: string, text: string)
---@field timers steerway.Timers
---@field random? fun(): number                         instead of math.random
---@field wall? fun(): number                           instead of the engine's
---@field metric? fun(name: string, gauge: boolean): lightuserdata|ffi.cdata*|nil, string|nil  where its number is

---@param o steerway.CtxOptions
---@return steerway.Ctx
function ctx.new(o)
  local all = {}
  for i, u in ipairs(types.listed) do
    all[i] = u
  end
  types.guard_names("ctx.uplinks", all)
  local metric, files = o.metric or own_metric(), files_of(o)
  local made = {
    params = o.params,
    uplinks = all,
    log = make_log(o.log),
    hash = ctx.hash,
    random = o.random or math.random,
    now = types.now,
    time = o.wall or types.wall,
    every = o.timers.every,
    after = o.timers.after,
    counter = meter("counter", metric, COUNTER),
    gauge = meter("gauge", metric, GAUGE),
    lru = function(capacity, ttl_s)
      return lru.new(capacity, ttl_s, types.now)
    end,
    site = site.of,
    domains = builder(sets.domains, files),
    cidrs = builder(sets.cidrs, files),
    match = sets.match,
  }
  local names = nearest.names_of(made)
  return setmetatable(made, {
    __metatable = false,
    __index = function(_, key)
      error(nearest.complaint("ctx", key, names), 2)
    end,
  })
end

return ctx
