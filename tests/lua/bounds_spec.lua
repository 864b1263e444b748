-- Every function that a policy can reach has a row in bounds/rows.lua, and costs no more than the row says.

local compiling = require "steerway.host.compiling"
local kit = require "kit"
local params = require "steerway.host.params"
local rows = require "bounds.rows"
local sandbox = require "steerway.host.sandbox"
local state = require "steerway.host.state"
local types = require "steerway.host.types"

local TIMES, TRIES, STOP_S = 3, 3, 0.05

-- All functions below t, by name.
local function walk(t, prefix, found, seen)
  if seen[t] then
    return
  end
  seen[t] = true
  for key, value in next, t do
    if type(value) == "function" then
      found[prefix .. key] = value
    elseif type(value) == "table" then
      walk(value, prefix .. key .. ".", found, seen)
    end
  end
end

local function library()
  local names = {}
  local pipe = assert(io.popen "ls lua/steerway/*.lua")
  for path in pipe:lines() do
    names[#names + 1] = path:match "([%w_]+)%.lua$"
  end
  pipe:close()
  return names
end

-- Modules that raise when a policy requires them, or hold no function.
local NOT_FOR_POLICIES = { host = true, testing = true, types = true }

local function new_world()
  local world = kit.world { { name = "a" }, { name = "b" } }
  local w = { files = {}, state = state, params = params, conn = world.conn, stats = world.stats, uplink = world.uplinks[1] }
  w.env = sandbox.new {
    dir = "dir", lua_dir = kit.lua_dir, log = function() end,
    read = function(path)
      return w.files[path] or kit.reader {}(path)
    end,
  }
  w.compile = function(text) return compiling.load(text, "=x", {}) end
  w.ctx = world:ctx()
  w.conn_names, w.uplink_names, w.stats_names = types.conn_names, types.uplink_names, types.stats_names
  world.frame.word = ""
  world:begin()
  w.world = world
  return w
end

local function functions_of(w)
  local found, seen = {}, {}
  seen[w.env._G] = nil
  walk(w.env, "", found, seen)
  walk(w.ctx, "ctx.", found, seen)
  walk(debug.getmetatable(w.ctx.lru(5)).__index, "lru:", found, seen)
  walk(w.ctx.counter "c", "counter:", found, seen)
  walk(w.ctx.gauge "g", "gauge:", found, seen)
  found["timer's cancel"] = w.ctx.after(1e6, print)
  for _, name in ipairs(library()) do
    if not NOT_FOR_POLICIES[name] then
      local module = w.env.require("steerway." .. name)
      if type(module) == "function" then
        found[name] = module
      else
        walk(module, name .. ".", found, seen)
      end
    end
  end
  return found
end

-- The longest time that the function runs between two checks of the hook that stops a call.
local function longest_step(f)
  local longest, began = 0, os.clock()
  local last = began
  jit.off()
  jit.flush()
  debug.sethook(function()
    local now = os.clock()
    longest, last = math.max(longest, now - last), now
    if now - began > STOP_S then
      debug.sethook()
      error "stopped"
    end
  end, "", 1)
  pcall(function() -- since the hook may raise an error behind the inner pcall
    pcall(f)
    debug.sethook()
  end)
  longest = math.max(longest, os.clock() - last)
  jit.on()
  return longest
end

-- Values that are not functions, or not functions for policies.
local NO_FUNCTIONS = {
  metamethods = true, ["a new text"] = true, ["own file"] = true, export = true, import = true, params = true,
}

local function names_of(row)
  local names = {}
  if row.names:find "`" or row.names:find "'" or NO_FUNCTIONS[row.names] then
    return { row.names } -- a single name, whatever blanks are in it
  end
  for name in row.names:gmatch "%S+" do
    names[#names + 1] = name
  end
  return names
end

describe("the bounds of what a policy can reach", function()
  it("are told of every function, and of no other", function()
    local found, told = functions_of(new_world()), {}
    for _, row in ipairs(rows) do
      if not row.names:find "`" and not NO_FUNCTIONS[row.names] then
        for _, name in ipairs(names_of(row)) do
          assert.is_nil(told[name], name .. " has two rows")
          told[name] = true
          assert.is_function(found[name], name .. " has a row, and is not there")
        end
      end
    end
    for name in pairs(found) do
      assert.is_true(told[name], name .. " has no row in tests/lua/bounds/rows.lua")
    end
  end)

  it("are those of the methods of texts, too", function()
    local meta = debug.getmetatable ""
    local index = meta.__index
    sandbox.seal_strings()
    local sealed = meta.__index
    meta.__index, meta.__metatable = index, nil
    local env = new_world().env
    for name in pairs(sealed) do
      assert.is_function(env.string[name])
    end
    for name in pairs(env.string) do
      assert.is_function(sealed[name])
    end
    -- C's own functions stay where their time is bounded by the size of the result.
    assert.equal(string.len, sealed.len)
    for name in ("byte char find format gmatch gsub lower match rep reverse sub upper"):gmatch "%a+" do
      assert.are_not_equal(string[name], sealed[name])
      assert.are_not_equal(string[name], env.string[name])
    end
  end)

  it("leave a call room below 100 ms", function()
    for _, row in ipairs(rows) do
      assert.is_true(row.ms <= rows.STEP_MAX_MS, row.names)
    end
  end)

  for _, row in ipairs(rows) do
    it("hold: " .. row.names:sub(1, 60), function()
      for _, name in ipairs(names_of(row)) do
        local best = math.huge
        for _ = 1, TRIES do
          local w = new_world()
          local f = functions_of(w)[name]
          assert.is_true(f ~= nil or row.names:find "`" ~= nil or NO_FUNCTIONS[name])
          local run = row.run(f, w)
          collectgarbage()
          best = math.min(best, longest_step(run))
          if best * 1000 <= row.ms then
            break
          end
        end
        collectgarbage()
        assert.is_true(best * 1000 <= row.ms * TIMES, ("%s: %.1f ms; expected %d"):format(name, best * 1000, row.ms))
      end
    end)
  end
end)
