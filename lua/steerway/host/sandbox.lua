-- The environment of policies: Lua without files, processes, C, bytecode or access to the host. Each function that
-- reaches outside is a copy or a wrapper; host.lua's own globals are never passed out.

local bit = require "bit"
local bounds = require "steerway.host.bounds"
local compiled = require "steerway.host.compiled"
local compiling = require "steerway.host.compiling"
local depth = require "steerway.host.depth"
local nearest = require "steerway.host.nearest"
local tables = require "steerway.host.tables"
local texts = require "steerway.host.texts"

local sandbox = {}

local raw_load, raw_pcall, raw_getmetatable, raw_type = load, pcall, getmetatable, type
local raw_error, raw_select, raw_tostring = error, select, tostring
local raw_find, raw_gsub, raw_match, raw_sub = string.find, string.gsub, string.match, string.sub

local LOAD_MAX = compiling.TEXT_MAX

local function copy(from, names)
  local to = {}
  for name in names:gmatch "%S+" do
    to[name] = from[name]
  end
  return to
end

local function safe_string()
  local s = copy(string, "len")
  s.byte, s.sub = compiled.byte, compiled.sub
  s.char = texts.numbers("string.char", string.char)
  for _, name in ipairs { "lower", "reverse", "upper" } do
    s[name] = texts.linear("string." .. name, string[name])
  end
  s.format, s.rep = texts.format, texts.rep
  s.match, s.gmatch = bounds.matching("match", string.match), bounds.matching("gmatch", string.gmatch)
  s.gsub = depth.guarded("string.gsub", bounds.gsub(string.gsub))
  s.find = bounds.find(string.find)
  return s
end

local function safe_table()
  local t = copy(table, "remove") -- LuaJIT implements it in Lua, so it can be stopped
  t.concat, t.insert, t.maxn, t.sort = tables.concat, tables.insert, tables.maxn, tables.sort
  return t
end

-- The handler runs after the failing call. Inside it, the time budget could not stop it.
local function xpcall(f, handler, ...)
  local function finish(ok, ...)
    if ok then
      return true, ...
    end
    local _, text = depth.pcall(handler, ...)
    return false, text
  end
  return finish(depth.pcall(f, ...))
end

local function safe_coroutine()
  local c = copy(coroutine, "create isyieldable running status yield")
  c.resume, c.wrap = depth.resume, depth.wrap
  return c
end

---Make string methods, ("x"):rep(3), use a copy that policies cannot reach or change. For the engine's VM only: it
---changes all strings of this Lua state.
function sandbox.seal_strings()
  raw_getmetatable("").__index = safe_string()
  raw_getmetatable("").__metatable = false
end

-- LuaJIT keeps this many bytes of a chunk's name for errors (LUA_IDSIZE), and cuts longer names at any byte.
local SHOWN_MAX = 59

---The name of a file in errors: its path. A long path loses whole folders at the front.
---@param path string
---@return string
function sandbox.shown(path)
  if #path <= SHOWN_MAX then
    return path
  end
  local tail = raw_sub(path, 3 - SHOWN_MAX)
  local slash = raw_find(tail, "/", 1, true)
  return "..." .. (slash and raw_sub(tail, slash) or tail)
end

local BYTECODE = "\27"

-- LuaJIT quotes text at a syntax error (" near 'bob:secret }'"), which may be a secret and must not be logged.
local function without_quote(name, complaint)
  local at = raw_sub(complaint, 1, #name) == name and #name or 0
  local near = raw_find(complaint, " near ", at + 1, true)
  return near and raw_sub(complaint, 1, near - 1) or complaint
end

-- Part of the second that a config file has.
local CONFIG_TIME_MAX_S = 0.8

-- Compile a file's text; bytecode is refused.
local function compile(text, path, name, env, secret)
  if raw_sub(text, 1, 1) == BYTECODE then
    return nil, path .. ": expected Lua text, got bytecode"
  end
  if #text > LOAD_MAX then
    return nil, ("%s: the file has %d bytes; expected at most %d"):format(path, #text, LOAD_MAX)
  end
  local chunk, complaint = compiling.load(text, name, env, secret and CONFIG_TIME_MAX_S or nil)
  if not chunk and raw_find(text, "\0", 1, true) then
    local utf16 = raw_find(text, "^\255\254") or raw_find(text, "^\254\255")
    return nil, path .. (utf16 and ": expected Lua text in UTF-8, got UTF-16: save the file as UTF-8"
      or ": expected Lua text, got binary data")
  elseif not chunk and secret then
    complaint = without_quote(raw_sub(name, 2), complaint)
    if not raw_find(text, "return", 1, true) then -- JSON, YAML, …
      complaint = complaint .. "; a config file is Lua, and returns a table: return { uplinks = { … } }"
    end
  end
  return chunk, complaint
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
  local path = o.dir .. "/" .. file
  return path, nil, "@" .. sandbox.shown(path)
end

local LOADING = {}

-- Lua's own libraries, which a program may require by name; these are the sandbox's copies.
local OWN = { string = true, table = true, math = true, bit = true, coroutine = true }
-- Libraries that Lua has and the sandbox lacks, with advice.
local ABSENT = {
  io = "ctx.domains { file = … } and ctx.cidrs { file = … } read lists, ctx.log writes to the log",
  debug = "ctx.log and print write to the log",
  ffi = "a policy calls no C", jit = "a policy is compiled anyway", package = "require finds files beside the policy",
}

-- A mistyped name of a block raises an error here, instead of being nil and failing at a later line.
local function guard_names(name, module)
  if raw_type(module) ~= "table" or raw_getmetatable(module) ~= nil then
    return
  end
  local what, names = name:match "[%w_]+$", {}
  for key in next, module do
    names[#names + 1] = key
  end
  table.sort(names)
  setmetatable(module, {
    __metatable = false,
    __index = function(_, key)
      for i = 1, #names do
        if names[i] == key then -- the policy has removed it
          return nil
        end
      end
      raw_error(nearest.complaint(what, key, names), 2)
    end,
  })
end

-- A hint for a module whose file is missing.
local function hint_for(name)
  if name == "os" then
    return "; os is a global"
  elseif ABSENT[name] then
    return ("; %s is not in the sandbox: %s"):format(name, ABSENT[name])
  end
  local close = nearest.of(name, { "steerway.balance", "steerway.hours", "steerway.quota", "steerway.rules", "steerway.sticky" })
  return close and ("; did you mean '%s'?"):format(close)
    or "; a policy can require steerway.balance, hours, quota, rules and sticky, and files beside itself"
end

local function make_require(env, o)
  local loaded, chunks = {}, {}
  return loaded, chunks, function(name)
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
    if not text and OWN[name] then
      return env[name]
    elseif not text then
      raw_error(("module '%s': %s%s"):format(name, missing, hint_for(name)), 2)
    end
    local chunk, bad = compile(text, path, chunk_name, env, o.secret)
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
    if chunk_name == "=" .. name then -- the library's
      guard_names(name, result)
    else
      chunks[#chunks + 1] = chunk
    end
    return loaded[name]
  end
end

-- Join all pieces of a reader, as load does.
local function joined_pieces(reader)
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
---@field wall? fun(): number  seconds since 1970, instead of os.time
---@field secret? boolean  the files may hold passwords: no error quotes what stands in them

---@param o steerway.SandboxOptions
---@return table env
---@return table<string, any> modules  what has been required, by name
---@return function[] chunks             of the policy's own files that have been required
function sandbox.new(o)
  local env = copy(_G, "assert error ipairs next pairs rawequal rawget rawset setmetatable tonumber type unpack")
  env.pcall = depth.pcall
  env.select = compiled.select
  env.tostring = tostring
  env._G = env
  env._VERSION = _VERSION
  env.xpcall = xpcall
  env.string = safe_string()
  env.table = safe_table()
  env.math = copy(math, "abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10"
    .. " modf pi pow rad random sin sinh sqrt tan tanh")
  env.math.max, env.math.min = texts.numbers("math.max", math.max), texts.numbers("math.min", math.min)
  env.bit = copy(bit, "arshift bnot bswap lshift rol ror rshift tobit tohex")
  for _, name in ipairs { "band", "bor", "bxor" } do
    env.bit[name] = texts.numbers("bit." .. name, bit[name])
  end
  env.coroutine = safe_coroutine()
  env.os = texts.os(o.wall or os.time)
  local modules, chunks
  modules, chunks, env.require = make_require(env, o)

  -- For tables only: the metatables of strings and of the engine's types are hidden.
  function env.getmetatable(value)
    if raw_type(value) == "table" then
      return raw_getmetatable(value)
    end
    return nil
  end
  -- Always pass an environment: without one, LuaJIT gives a chunk the host's globals.
  function env.load(chunk, name, _, chunk_env)
    if chunk_env == nil then
      chunk_env = env
    elseif raw_type(chunk_env) ~= "table" then
      raw_error("load: expected a table as environment, got " .. raw_type(chunk_env), 2)
    end
    if raw_type(chunk) == "function" then
      chunk = joined_pieces(chunk)
    end
    if raw_type(chunk) == "string" and #chunk > LOAD_MAX then
      raw_error(("load: a text of %d bytes is too long; expected at most %d"):format(#chunk, LOAD_MAX), 2)
    end
    if raw_type(chunk) ~= "string" then
      return raw_load(chunk) -- raises the error
    elseif name ~= nil and raw_type(name) ~= "string" then
      raw_error("load: expected a string as name, got " .. raw_type(name), 2)
    elseif not o.secret then
      return compiling.load(chunk, name or chunk, chunk_env)
    end
    -- Without a name, the chunk's name would be its text.
    local f, complaint = compiling.load(chunk, "=load", chunk_env, CONFIG_TIME_MAX_S)
    return f, complaint and without_quote("", complaint)
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
  return env, modules, chunks
end

---Compile a file's text; bytecode is refused.
---@param text string
---@param file string
---@param env table
---@param secret? boolean  the error quotes nothing of the text
---@return function|nil chunk
---@return string|nil error
function sandbox.compile(text, file, env, secret)
  return compile(text, file, "@" .. sandbox.shown(file), env, secret)
end

---The folder of a file.
function sandbox.folder(file)
  return raw_match(file, "^(.*)/[^/]*$") or "."
end

return sandbox
