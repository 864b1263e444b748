-- The world in which policies run: Lua without files, processes, C, bytecode or a way to the host.
-- Every function here that reaches outside is a copy or a wrapper; host.lua's own globals are never handed out.

local bounds = require "steerway.host.bounds"

local sandbox = {}

local raw_load, raw_pcall, raw_getmetatable, raw_type = load, pcall, getmetatable, type
local raw_error, raw_select, raw_tostring = error, select, tostring
local raw_gsub, raw_match = string.gsub, string.match

-- Beyond it, compiling takes longer than a call may.
local LOAD_MAX = 2 ^ 20

local function copy(from, names)
  local to = {}
  for name in names:gmatch "%S+" do
    to[name] = from[name]
  end
  return to
end

local function safe_string()
  local s = copy(string, "byte char format len lower rep reverse sub upper")
  for _, name in ipairs { "match", "gmatch", "gsub" } do
    s[name] = bounds.matching(name, string[name])
  end
  s.find = bounds.find(string.find)
  return s
end

local function safe_table()
  local t = copy(table, "concat maxn remove")
  t.insert, t.sort = bounds.insert, bounds.sort
  return t
end

-- A handler would run inside the failing call, where the time budget cannot stop it; so it runs after.
local function xpcall(f, handler, ...)
  local function finish(ok, ...)
    if ok then
      return true, ...
    end
    local _, text = raw_pcall(handler, ...)
    return false, text
  end
  return finish(raw_pcall(f, ...))
end

---Methods of strings, ("x"):rep(3), come from a copy that no policy can reach or change.
---For the engine's VM alone: it changes all strings of this Lua state.
function sandbox.seal_strings()
  raw_getmetatable("").__index = safe_string()
  raw_getmetatable("").__metatable = false
end

local MODULE = "^[%w_]+$"

local function module_path(name, o)
  for part in (name .. "."):gmatch "(.-)%." do
    if not part:find(MODULE) then
      return nil, ("module '%s': expected a name such as steerway.balance, or of a file beside the policy"):format(name)
    end
  end
  local file = raw_gsub(name, "%.", "/") .. ".lua"
  if name == "steerway" or name:sub(1, 9) == "steerway." then
    if name == "steerway.host" or name:sub(1, 14) == "steerway.host." then
      return nil, ("module '%s' is the engine's own"):format(name)
    end
    return o.lua_dir .. "/" .. file, nil, "=" .. name
  end
  return o.dir .. "/" .. file, nil, "@" .. o.dir .. "/" .. file
end

local LOADING = {}

local function make_require(env, o)
  local loaded = {}
  return function(name)
    if raw_type(name) ~= "string" then
      raw_error("require: expected a module's name, got " .. raw_type(name), 2)
    end
    local value = loaded[name]
    if value == LOADING then
      raw_error(("module '%s' requires itself"):format(name), 2)
    elseif value ~= nil then
      return value
    end
    local path, wrong, chunk_name = module_path(name, o)
    if not path then
      raw_error(wrong, 2)
    end
    local text, missing = o.read(path)
    if not text then
      raw_error(("module '%s': %s"):format(name, missing), 2)
    end
    local chunk, bad = raw_load(text, chunk_name, "t", env)
    if not chunk then
      raw_error(bad, 0)
    end
    loaded[name] = LOADING
    local ok, result = raw_pcall(chunk)
    if not ok then
      loaded[name] = nil
      raw_error(result, 0)
    end
    loaded[name] = result == nil and true or result
    return loaded[name]
  end
end

-- All pieces of a reader's, as load takes them.
local function gather(reader)
  local pieces, size = {}, 0
  repeat
    local piece = reader()
    if piece ~= nil and raw_type(piece) ~= "string" then
      raw_error("load: expected the reader to return strings, got " .. raw_type(piece), 3)
    end
    pieces[#pieces + 1] = piece
    size = size + #(piece or "")
  until not piece or piece == "" or size > LOAD_MAX
  return table.concat(pieces)
end

---@class steerway.SandboxOptions
---@field dir string      the folder beside which `require` may look
---@field lua_dir string  the folder that holds steerway/
---@field read fun(path: string): string|nil, string|nil
---@field log fun(level: string, text: string)

---@param o steerway.SandboxOptions
---@return table env
function sandbox.new(o)
  local env = copy(_G, "assert error ipairs next pairs pcall rawequal rawget rawset select setmetatable tonumber"
    .. " tostring type unpack")
  env._G = env
  env._VERSION = _VERSION
  env.xpcall = xpcall
  env.string = safe_string()
  env.table = safe_table()
  env.math = copy(math, "abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 max min"
    .. " modf pi pow rad random sin sinh sqrt tan tanh")
  env.bit = copy(require "bit", "arshift band bnot bor bswap bxor lshift rol ror rshift tobit tohex")
  env.coroutine = copy(coroutine, "create isyieldable resume running status wrap yield")
  env.os = copy(os, "clock date difftime time")
  env.require = make_require(env, o)

  -- Only of tables: strings and the engine's types keep theirs to themselves.
  function env.getmetatable(value)
    if raw_type(value) == "table" then
      return raw_getmetatable(value)
    end
    return nil
  end
  -- LuaJIT gives a chunk the host's globals unless it is handed a table, so that is never left to the caller.
  function env.load(chunk, name, _, chunk_env)
    if chunk_env == nil then
      chunk_env = env
    elseif raw_type(chunk_env) ~= "table" then
      raw_error("load: expected a table as environment, got " .. raw_type(chunk_env), 2)
    end
    if raw_type(chunk) == "function" then
      chunk = gather(chunk)
    end
    if raw_type(chunk) == "string" and #chunk > LOAD_MAX then
      raw_error(("load: a text of %d octets is too long; expected at most %d"):format(#chunk, LOAD_MAX), 2)
    end
    return raw_load(chunk, name, "t", chunk_env)
  end
  function env.loadstring(text, name)
    return env.load(raw_tostring(text), name)
  end
  function env.print(...)
    local words = {}
    for i = 1, raw_select("#", ...) do
      words[i] = raw_tostring((raw_select(i, ...)))
    end
    o.log("info", table.concat(words, "\t"))
  end
  function env.collectgarbage(what)
    if what ~= nil and what ~= "count" then
      raw_error("collectgarbage: only 'count' is there", 2)
    end
    return collectgarbage "count"
  end
  return env
end

---Compile a file's text, never bytecode.
---@return function|nil chunk
---@return string|nil error
function sandbox.compile(text, file, env)
  return raw_load(text, "@" .. file, "t", env)
end

---The folder a file stands in.
function sandbox.folder(file)
  return raw_match(file, "^(.*)/[^/]*$") or "."
end

return sandbox
