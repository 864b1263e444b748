-- What the specs of this project share, beside the kit that ships for those of users: lua/steerway/testing.lua.

local ctx = require "steerway.host.ctx"
local host = require "steerway.host"
local testing = require "steerway.testing"
local timers = require "steerway.host.timers"
local types = require "steerway.host.types"

local kit = {}

kit.lua_dir = "lua"
kit.file = "dir/p.lua" -- where policies of the specs seem to stand
kit.reader = testing.reader

---A world in which texts of policies seem to stand at kit.file, and all uplinks are candidates, also those that are down.
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

  ---The ctx that a policy would be handed in this world; with o.params, wall, log, random and files as for load.
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

---A policy of which only pick is written: its body, and what new does before.
function kit.pick(body, before)
  return ("return { name = 'p', new = function(ctx) %s return { pick = function(conn, uplinks)\n%s\nend } end }")
    :format(before or "", body)
end

---Octets of garbage that so many picks leave behind, interpreted: compiled code, whose making allocates, leaves no more.
function kit.garbage(policy, picks)
  local world, ids = policy.world, policy:candidates()
  jit.off()
  jit.flush()
  world:begin()
  for _ = 1, 100 do -- memories fill, lists grow
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

-- The least of some measurements, up to the first that is enough: a machine that is short of time lengthens some, not all.
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

---A generator of known numbers in [0, 1): the same draws in each run.
function kit.draws(seed)
  local state = seed or 1
  return function()
    state = (state * 16807) % 2147483647 -- Park and Miller's
    return state / 2147483647
  end
end

return kit
