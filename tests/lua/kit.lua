-- Uplinks, connections and policies for specs, of the very types that the engine uses: what a policy meets here it meets
-- there. A world holds the uplinks and the frame; a runner is a policy loaded into it, called as the engine calls it.

local ffi = require "ffi"
local ctx = require "steerway.host.ctx"
local host = require "steerway.host"
local timers = require "steerway.host.timers"
local types = require "steerway.host.types"

local kit = {}

kit.lua_dir = "lua"
kit.file = "dir/p.lua" -- where policies of the specs seem to stand

local VERDICTS = { [0] = "no opinion", [1] = "use", [2] = "refuse" }
local TEXTS = { "host", "client", "user", "listener", "proto", "last_error" }
local CONN = {
  id = 1, now = 1000, port = 443, attempt = 1, is_domain = true, is_ipv6 = false,
  host = "www.example.org", client = "192.0.2.7", listener = "127.0.0.1:1080", proto = "socks5",
}

local World, Runner = {}, {}
World.__index, Runner.__index = World, Runner

---Uplinks by their specs: { name = "fibre", weight = 7, tier = 1, kind = "interface", tags = { "metered" }, … }, where
---any number of the view may be given.
function kit.world(specs)
  types.bind(nil)
  local frame, conn, stats = types.bound()
  for id in pairs(types.by_id) do
    types.by_id[id] = nil
  end
  for id in pairs(types.tags) do
    types.tags[id] = nil
  end
  local world = setmetatable({ frame = frame, ids = frame.ids, conn = conn, stats = stats, views = {}, uplinks = {} }, World)
  for _, spec in ipairs(specs) do
    world:add(spec)
  end
  return world
end

---@return table uplink  as policies see it; world.views has the writable side
function World:add(spec)
  local id = #self.uplinks + 1
  local view = types.writable_uplink { weight = 1, tier = 1, id = id, up = true, ipv4 = true, quota_left = math.huge }
  local own = { name = true, kind = true, interface = true, tags = true }
  for key, value in pairs(spec) do
    if not own[key] then
      view[key] = value
    end
  end
  local name = spec.name or "uplink" .. id
  self.views[id] = view
  self.uplinks[id] = types.add_uplink(view, id, name, spec.kind or "interface", spec.interface or name, spec.tags or {})
  return self.uplinks[id]
end

function World:named(name)
  for id, u in ipairs(self.uplinks) do
    if u.name == name then
      return self.views[id], u
    end
  end
  error("no uplink " .. name)
end

---Put a connection into the frame, as the engine does before a call.
function World:begin(fields)
  fields = fields or {}
  local function value(key)
    if fields[key] ~= nil then
      return fields[key]
    end
    return CONN[key]
  end
  local c = self.frame.conn
  c.id, c.now, c.port, c.attempt = value "id", value "now", value "port", value "attempt"
  self.frame.now = c.now
  c.is_domain, c.is_ipv6 = value "is_domain", value "is_ipv6"
  self.kept = {} -- the frame points into these
  for _, key in ipairs(TEXTS) do
    self.kept[key] = value(key)
    self.frame[key] = self.kept[key] or ffi.cast("const char *", nil)
  end
  self.frame.live = true
end

function World:finish()
  self.frame.live = false
  for _, key in ipairs(TEXTS) do
    self.frame[key] = nil
  end
end

---A reader of files that are not there: path to text; Steerway's own library is read from disk.
function kit.reader(files)
  return function(path)
    if files[path] then
      return files[path]
    end
    local f, missing = io.open(path, "rb")
    if not f then
      return nil, missing
    end
    local text = f:read "*a"
    f:close()
    return text
  end
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

---The same, ready to be asked.
function World:load(text, o)
  local loaded = kit.load(text, o)
  return setmetatable({ world = self, entry = loaded.entry, policy = loaded.policy, hooks = loaded.hooks }, Runner)
end

---A policy of which only pick is written: its body, and what new does before.
function kit.pick(body, before)
  return ("return { name = 'p', new = function(ctx) %s return { pick = function(conn, uplinks)\n%s\nend } end }")
    :format(before or "", body)
end

-- Runs what the engine would, with these candidates (ids; all, if none are given).
function Runner:raw_pick(ids)
  local frame, to = self.world.frame, self.world.ids
  frame.n = ids and #ids or #self.world.uplinks
  for i = 1, frame.n do
    to[i - 1] = ids and ids[i] or i
  end
  frame.timeout_s, frame.hedge_s = 0, 0
  return self.entry.pick()
end

---Ask for an uplink.
---@param conn? table  fields that differ from an ordinary connection's
---@param ids? integer[]
---@return table  verdict, reason, names (in order of preference), timeout
function Runner:pick(conn, ids)
  local frame = self.world.frame
  self.world:begin(conn)
  local verdict, reason = self:raw_pick(ids)
  local out = { verdict = VERDICTS[verdict], reason = reason, timeout = frame.timeout_s, names = {} }
  if out.verdict == "use" then
    for i = 1, frame.n do
      out.names[i] = types.by_id[frame.ids[i - 1]].name
    end
  end
  self.world:finish()
  return out
end

---The names of the first choices of that many picks.
function Runner:sequence(n, conn, ids)
  local names = {}
  for i = 1, n do
    names[i] = self:pick(conn, ids).names[1]
  end
  return table.concat(names, " ")
end

---How often each uplink was chosen.
function Runner:tally(n, conn, ids)
  local count = {}
  for _, u in ipairs(self.world.uplinks) do
    count[u.name] = 0
  end
  for _ = 1, n do
    local name = self:pick(conn, ids).names[1]
    count[name] = count[name] + 1
  end
  return count
end

---Call a hook: "opened", "failed" or "closed".
---@param facts table  connect_s; error; tx, rx, duration, first_byte, reason
function Runner:hook(name, conn, id, facts)
  local frame = self.world.frame
  self.world:begin(conn)
  frame.uplink = id
  frame.connect_s = facts.connect_s or 0
  frame.word = facts.error or facts.reason
  frame.stats.tx, frame.stats.rx, frame.stats.duration = facts.tx or 0, facts.rx or 0, facts.duration or 0
  frame.first_byte_s = facts.first_byte or -1
  self.entry[name]()
  self.world:finish()
end

function Runner:forget(id)
  self.world.frame.conn.id = id
  self.entry.forget()
end

---Octets of garbage that so many picks leave behind, interpreted: compiled code, whose making allocates, leaves no more.
function Runner:garbage(picks)
  local world = self.world
  jit.off()
  jit.flush()
  world:begin()
  for _ = 1, 100 do -- memories fill, lists grow
    self:raw_pick()
  end
  collectgarbage()
  collectgarbage "stop"
  local before = collectgarbage "count"
  for _ = 1, picks do
    self:raw_pick()
  end
  local after = collectgarbage "count"
  collectgarbage "restart"
  jit.on()
  world:finish()
  return (after - before) * 1024
end

---The ctx that a policy would be handed in this world; with o.params, wall, log, random and files as for load.
function World:ctx(o)
  o = o or {}
  assert(self.uplinks)
  return ctx.new {
    params = o.params or {}, log = o.log or function() end, random = o.random, wall = o.wall,
    timers = timers.new(types.now, types.set_next_timer), dir = "dir", read = kit.reader(o.files or {}),
  }
end

---Let so many seconds pass.
function World:pass(seconds)
  self.frame.now = self.frame.now + seconds
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
