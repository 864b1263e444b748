-- The engine's Lua side, also used by tests. It loads a policy into the sandbox, gives it its ctx, and makes the
-- functions that the engine calls. The engine's services (files, log) are passed in.

require("steerway.host.compiled").begin()

local calls = require "steerway.host.calls"
local ctx = require "steerway.host.ctx"
local depth = require "steerway.host.depth"
local heeds = require "steerway.host.heeds"
local got = require "steerway.host.got"
local nearest = require "steerway.host.nearest"
local lines = require "steerway.host.lines"
local params = require "steerway.host.params"
local sandbox = require "steerway.host.sandbox"
local sets = require "steerway.host.sets"
local site = require "steerway.host.site"
local state = require "steerway.host.state"
local timers = require "steerway.host.timers"
local types = require "steerway.host.types"
local funcinfo = require("jit.util").funcinfo

local host = {}

local POLICY_KEYS = { "name", "about", "params", "new" }
local INSTANCE_KEYS = { "pick", "opened", "failed", "lost_race", "closed", "uplink_changed", "export", "import", "selftest" }

-- The line where a key of the policy's table is set; 1 if it is not found.
local function line_of(text, key)
  local number, word = 0, key:gsub("%W", "%%%0") -- the key may contain pattern characters, also of a slow pattern
  -- string.gmatch, since the sandbox limits the length of text for its methods.
  for line in string.gmatch(text .. "\n", "(.-)\n") do
    number = number + 1
    if string.find(line, "%f[%w_]" .. word .. "%s*=%f[^=]") then
      return number
    end
  end
  return 1
end

local function failer(file, text)
  return function(key, complaint)
    error(("%s:%d: %s"):format(file, line_of(text, key), complaint), 0)
  end
end

local function holds(list, word)
  for _, each in ipairs(list) do
    if each == word then
      return true
    end
  end
  return false
end

-- misplaced: names that belong elsewhere, with a hint.
local function check_keys(what, t, known, fail, misplaced, place)
  for key in pairs(t) do
    if not holds(known, key) then
      local hint = holds(misplaced, key) and "; " .. place:gsub("KEY", key) or ""
      fail(tostring(key), nearest.complaint(what, key, known)
        .. (" (known: %s)%s"):format(table.concat(known, ", "), hint))
    end
  end
end

-- The likely reason why a file returned nothing: it is empty, it sets a global instead of returning it, or it returns
-- an unset name.
local function hint_for_nothing(policy, env, text)
  if policy == nil and not string.find(text, "%S") then
    return "; the file is empty"
  end
  for _, key in ipairs { "pick", "new" } do
    if rawget(env, key) ~= nil then
      return ("; it sets a global '%s', which has no effect"):format(key)
    end
  end
  local name = policy == nil and string.match(text, "%f[%w_]return%s+([%a_][%w_.]*)[%s;]*$")
  if name and name ~= "nil" then
    return ("; %s, which it returns, is nil"):format(name)
  end
  return policy == nil and "; the file has no return at its end" or ""
end

local function check_policy(policy, env, text, fail)
  if type(policy) ~= "table" then
    fail("return", ("expected the file to return a table { name = …, new = … }, got %s%s")
      :format(type(policy), hint_for_nothing(policy, env, text)))
  end
  check_keys("the policy", policy, POLICY_KEYS, fail, INSTANCE_KEYS,
    "KEY belongs into what new returns: new = function(ctx) return { KEY = … } end")
  if type(policy.name) ~= "string" or not policy.name:find "^[%w_.-]+$" or #policy.name > 63 then
    fail("name", ("name: expected a string of letters, digits, _ . - (63 at most), got %s"):format(got(policy.name)))
  end
  if policy.about ~= nil and type(policy.about) ~= "string" then
    fail("about", ("about: expected a string, got %s"):format(type(policy.about)))
  end
  if policy.params ~= nil and type(policy.params) ~= "table" then
    fail("params", ("params: expected a table, got %s"):format(type(policy.params)))
  end
end

-- The library's name of a function, such as "balance.smooth"; nil for a function of the policy itself.
local function library_name(f, modules)
  for name, module in pairs(modules) do
    local short = name:match "^steerway%.([%w_]+)$"
    if short and module == f then
      return short
    end
    for key, value in pairs(short and type(module) == "table" and module or {}) do
      if value == f then
        return short .. "." .. key
      end
    end
  end
  return nil
end

-- A common mistake: `new` is a chooser instead of a function that returns hooks.
local function check_new(new, modules, fail)
  local library = library_name(new, modules)
  local source = type(new) == "function" and funcinfo(new).source
  if library then
    fail("new", ("new: expected a function(ctx), got the library's %s: write new = function(ctx) return { pick = %s } end")
      :format(library, type(new) == "function" and library .. "(…)" or library .. ".…"))
  elseif source and source:find "^=steerway%." then
    fail("new", ("new: expected a function(ctx), got a function that the library has made: "
      .. "write new = function(ctx) return { pick = … } end, with it as pick"))
  elseif type(new) ~= "function" then
    fail("new", ("new: expected a function(ctx), got %s"):format(type(new)))
  end
end

local function check_instance(instance, new, modules, fail)
  local at = funcinfo(new).linedefined
  if type(instance) ~= "table" then
    fail("new", ("new (line %d): expected it to return a table { pick = function(conn, uplinks) … }, got %s")
      :format(at or 0, type(instance)))
  end
  check_keys("what new returned", instance, INSTANCE_KEYS, fail, POLICY_KEYS, "KEY belongs beside new, in what the file returns")
  if type(instance.pick) ~= "function" then
    fail("new", ("pick: expected a function(conn, uplinks), got %s"):format(type(instance.pick)))
  end
  for _, name in ipairs(INSTANCE_KEYS) do
    local value = instance[name]
    if value ~= nil and type(value) ~= "function" then
      fail(name, ("%s: expected a function, got %s"):format(name, type(value)))
    end
    local library = value and library_name(value, modules)
    if library then
      fail(name, ("%s: %s is not such a function, but makes one: call it, %s = %s(…)"):format(name, library, name, library))
    end
  end
end

---@return string? text, string? error
function host.read_file(path)
  local f, err = io.open(path, "rb")
  if not f then
    return nil, err
  end
  local text = f:read "*a"
  f:close()
  return text
end

local function quiet() end

---@class steerway.LoadOptions
---@field file string
---@field lua_dir string
---@field params? table<string, any>
---@field read? fun(path: string): string|nil, string|nil
---@field log? fun(level: string, text: string)
---@field random? fun(): number                   instead of math.random
---@field wall? fun(): number                     seconds since 1970, instead of the engine's
---@field metric? fun(name: string, gauge: boolean): lightuserdata|nil, string|nil
---@field hard? table<integer, boolean>           by uplink id: the engine ends its quota

---@param o steerway.LoadOptions
---@param secret? boolean  no error quotes what stands in the file
---@return function chunk
---@return string text
---@return table env
---@return table<string, any> modules  what it has required, by name
---@return function[] chunks             its own files among that
local function open_file(o, secret)
  local read = o.read or host.read_file
  local text, missing = read(o.file)
  if not text then
    error(missing, 0)
  end
  local env, modules, chunks = sandbox.new {
    dir = sandbox.folder(o.file),
    lua_dir = o.lua_dir,
    read = read,
    log = o.log or quiet,
    wall = o.wall or types.wall,
    secret = secret,
  }
  local chunk, bad = sandbox.compile(text, o.file, env, secret)
  if not chunk then
    error(bad, 0)
  end
  return chunk, text, env, modules, chunks
end

-- export, import and selftest as the engine calls them: with text for another Lua state, and with places in errors.
local function add_reload_hooks(entry, hooks, face, file)
  local function naming_file(f, ...)
    local ok, result = pcall(f, ...)
    if not ok then
      error(("%s: %s"):format(file, tostring(result)), 0)
    end
    return result
  end
  if hooks.export then
    function entry.export()
      depth.begin()
      return naming_file(state.encode, hooks.export())
    end
  end
  if hooks.import then
    function entry.import(text)
      depth.begin()
      hooks.import(state.decode(text))
    end
  end
  if hooks.selftest then
    function entry.selftest()
      depth.begin()
      local passed, why = hooks.selftest(face)
      if passed == false then
        local info = funcinfo(hooks.selftest)
        error(("%s:%d: selftest failed: %s"):format(file, info.linedefined or 0, why and tostring(why) or "it returned false"), 0)
      end
    end
  end
end

---@class steerway.Loaded
---@field policy steerway.Policy  what the file returned
---@field hooks steerway.Hooks    what its new(ctx) returned
---@field unheeded table[]  see heeds.unheeded
---@field entry table<string, function>  what the engine calls; see calls.new, and export, import, selftest

---Load a policy. Raises an error of one line that names file and line.
---@param o steerway.LoadOptions
---@return steerway.Loaded
function host.load(o)
  depth.begin()
  local chunk, text, env, modules, chunks = open_file(o)
  local policy = chunk()
  local fail = failer(o.file, text)
  check_policy(policy, env, text, fail)
  check_new(policy.new, modules, fail)
  local later = timers.new(types.now, types.set_next_timer)
  local values = params.check(policy.params or {}, o.params or {}, fail)
  local face = ctx.new {
    params = values, log = o.log or quiet, timers = later,
    random = o.random, wall = o.wall, metric = o.metric, dir = sandbox.folder(o.file), read = o.read or host.read_file,
  }
  local instance = policy.new(face)
  check_instance(instance, policy.new, modules, fail)
  -- A copy, so that later changes by the policy have no effect.
  local hooks = {}
  for _, name in ipairs(INSTANCE_KEYS) do
    hooks[name] = instance[name]
  end
  local entry = calls.new(hooks, policy.name)
  function entry.timer()
    depth.begin()
    later.run()
  end
  add_reload_hooks(entry, hooks, face, sandbox.shown(o.file))
  chunks[#chunks + 1] = chunk
  local unheeded = heeds.unheeded(chunks, modules, values, face.uplinks, o.hard or {})
  return { policy = policy, hooks = hooks, entry = entry, unheeded = unheeded }
end

---Evaluate a config file. Like a policy, but with environment variables, which may hold passwords.
---@param o steerway.LoadOptions
---@return table
function host.load_config(o)
  local chunk, text, env = open_file(o, true)
  env.os.getenv = os.getenv
  local config = chunk()
  if type(config) ~= "table" then
    error(("%s: expected the file to return a table, got %s%s")
      :format(o.file, type(config), hint_for_nothing(config, env, text)), 0)
  end
  return config
end

---@class steerway.Services
---@field frame lightuserdata
---@field lua_dir string
---@field seed number
---@field psl lightuserdata  libpsl's list
---@field read fun(path: string): string|nil, string|nil
---@field log fun(level: string, text: string)
---@field metric fun(name: string, gauge: boolean): lightuserdata|nil, string|nil
---@field ascii fun(name: string): string|nil
---@field lists steerway.EngineLists

---The functions of this side for the engine. Replaces the string methods of this VM, so only the engine may call it.
---@param services steerway.Services
---@return table
function host.engine(services)
  types.bind(services.frame)
  site.use(services.psl)
  lines.use(services.ascii)
  sets.use(services.lists)
  math.randomseed(services.seed)
  sandbox.seal_strings()
  return {
    add_uplink = types.add_uplink,
    load = function(file, given, hard)
      local loaded = host.load {
        file = file, params = given, lua_dir = services.lua_dir, read = services.read, log = services.log,
        metric = services.metric, hard = hard,
      }
      return loaded.entry, loaded.policy.name, loaded.unheeded
    end,
    load_config = function(file)
      local function log(level, text)
        services.log(level, "config file: " .. text)
      end
      return host.load_config { file = file, lua_dir = services.lua_dir, read = services.read, log = log, wall = os.time }
    end,
  }
end

return host
