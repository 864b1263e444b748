-- Shared by the specs of this project, in addition to the kit for users: lua/steerway/testing.lua.

local ctx = require "steerway.host.ctx"
local host = require "steerway.host"
local testing = require "steerway.testing"
local timers = require "steerway.host.timers"
local types = require "steerway.host.types"

local kit = {}

kit.lua_dir = "lua"
kit.file = "dir/p.lua" -- the apparent path of the specs' policies
kit.reader = testing.reader

-- A file's text.
function kit.text_of(path)
  return assert(host.read_file(path))
end

---A world in which policies from text appear to be at kit.file. All uplinks are candidates, also those that are
---down.
function kit.world(specs)
  local world = testing.world(specs)

  function world.load(_, text, o)
    o = o or {}
    local all = {}
    local policy = testing.world_class.load(world, text or o.file, setmetatable({ file = o.file or kit.file }, { __index = o }))
    function policy.candidates(_, who)
      for id in ipairs(world.uplinks) do
        all[id] = id
      end
      return who and testing.policy_class.candidates(policy, who) or all
    end
    policy.garbage = kit.garbage
    return policy
  end

  ---The ctx of a policy in this world; o.params, wall, log, random and files are as for load.
  function world:ctx(o)
    o = o or {}
    assert(self.uplinks)
    return ctx.new {
      params = o.params or {}, log = o.log or function() end, random = o.random, wall = o.wall,
      timers = timers.new(types.now, types.set_next_timer), dir = "dir", read = kit.reader(o.files or {}),
    }
  end

  return world
end

---host.load of a policy's text, or with o.file of a file.
---@param o? table  file, files, params, log, random
---@return steerway.Loaded
function kit.load(text, o)
  o = o or {}
  local files = { [kit.file] = text }
  for path, more in pairs(o.files or {}) do
    files[path] = more
  end
  return host.load {
    file = o.file or kit.file, lua_dir = kit.lua_dir, read = kit.reader(files),
    params = o.params, log = o.log, random = o.random, wall = o.wall, metric = o.metric,
  }
end

---A policy with only a pick: its body, and code of new before it.
function kit.pick(body, before)
  return ("return { name = 'p', new = function(ctx) %s return { pick = function(conn, uplinks)\n%s\nend } end }")
    :format(before or "", body)
end

---Bytes of garbage that this many picks leave in interpreted code. Compiled code leaves no more, but making it
---allocates.
function kit.garbage(policy, picks)
  local world, ids = policy.world, policy:candidates()
  jit.off()
  jit.flush()
  world:begin()
  for _ = 1, 100 do -- fill caches and grow lists
    policy:raw_pick(ids)
  end
  collectgarbage()
  collectgarbage "stop"
  local before = collectgarbage "count"
  for _ = 1, picks do
    policy:raw_pick(ids)
  end
  local after = collectgarbage "count"
  collectgarbage "restart"
  jit.on()
  world:finish()
  return (after - before) * 1024
end

-- The least of some measurements, up to the first that is small enough: a busy machine lengthens some, not all.
function kit.least(measure, enough)
  local least = math.huge
  for _ = 1, 7 do
    least = math.min(least, measure())
    if least < enough then
      break
    end
  end
  return least
end

---The message of the error that f(...) raises.
function kit.fails(f, ...)
  local ok, message = pcall(f, ...)
  assert(not ok, "expected an error")
  return message
end

---A generator of fixed numbers in [0, 1): the same in each run.
function kit.draws(seed)
  local state = seed or 1
  return function()
    state = (state * 16807) % 2147483647 -- Park and Miller's
    return state / 2147483647
  end
end

return kit
