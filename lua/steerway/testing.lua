-- For specs of your own policies: local testing = require "steerway.testing", under busted and LuaJIT.
--
--   local world = testing.world { { name = "fibre", weight = 7 }, { name = "lte", tags = { "metered" } } }
--   local policy = world:load "mine.lua"
--   assert.equal("fibre", policy:pick({ host = "www.example.org", port = 443 }).uplink)
--
-- A policy runs here as in the proxy: the same sandbox, the same types, and the same checks of its results. An
-- unknown field, option or hook is an error at the line of the spec.
--
-- The spec controls time. Both clocks stand still between calls. The monotonic clock (conn.now, ctx.now) begins at
-- 1000 or at o.now; the calendar (ctx.time, os.time, os.date) begins at the present or at o.time. world:pass moves
-- both and runs the timers that are due. The field `now` of a connection sets only the monotonic clock, and runs no
-- timer. Only os.clock is real. There is no time budget: an endless loop never ends.

if not package then
  error("steerway.testing is for specs; a policy cannot use it", 0)
end
require "steerway.testing.busted"

local ffi = require "ffi"
local host = require "steerway.host"
local nearest = require "steerway.host.nearest"
local types = require "steerway.host.types"

local testing = {}

-- The folder of this file.
testing.lua_dir = debug.getinfo(1, "S").source:match "^@(.*)/steerway/testing%.lua$" or "lua"

local VERDICTS = { [0] = "no opinion", [1] = "use", [2] = "refuse" }
local TEXTS = { "host", "address", "client", "user", "listener", "proto", "last_error" }
-- An ordinary connection; a test overrides fields.
local CONN = {
  id = 1, port = 443, attempt = 1, is_domain = true, is_ipv6 = false, race = false, bind = false,
  host = "www.example.org", client = "192.0.2.7", listener = "127.0.0.1:1080", proto = "socks5",
}
local OWN = { name = "string", kind = "string", interface = "string", tags = "table" } -- fields of an uplink that are not numbers
local CONN_FIELDS = {
  id = "number", now = "number", port = "number", attempt = "number", is_domain = "boolean", is_ipv6 = "boolean",
  race = "boolean", bind = "boolean",
}
for _, key in ipairs(TEXTS) do
  CONN_FIELDS[key] = "string"
end
-- The hooks, and the facts that each receives.
local HOOKS = {
  opened = { connect_s = "number" },
  failed = { error = "string" },
  closed = { tx = "number", rx = "number", duration = "number", first_byte = "number", reason = "string" },
  lost_race = {},
  uplink_changed = { what = "string" },
}
local WORDS = {
  error = { "timeout", "refused", "unreachable", "reset", "dns", "bind" },
  what = { "up", "down", "address", "quota" },
}
local LOAD_OPTIONS = {
  params = "table", file = "string", files = "table", random = "function", wall = "function", log = "function",
  metric = "function",
}

local function fail(level, fmt, ...)
  error("testing: " .. fmt:format(...), level + 1)
end

-- Accept only known fields of the right type, since a typo would change what is tested.
local function check_fields(what, given, known, level)
  if given ~= nil and type(given) ~= "table" then
    fail(level + 1, "%s: expected a table of fields, got %s", what, type(given))
  end
  for key, value in pairs(given or {}) do
    local kind = known[key]
    if not kind then
      local names = nearest.names_of(known)
      fail(level + 1, "%s (known: %s)", nearest.complaint(what, key, names), table.concat(names, ", "))
    elseif type(value) ~= kind then
      fail(level + 1, "%s: %s: expected a %s, got %s", what, key, kind, type(value))
    end
  end
end

local function check_word(what, word, known, level)
  for _, each in ipairs(known) do
    if word == each then
      return
    end
  end
  fail(level + 1, "%s: expected one of %s, got '%s'", what, table.concat(known, ", "), word)
end

-- Raises for a number that uplinks do not have.
local function no_number(_, key)
  error("testing: " .. nearest.complaint("an uplink", key, types.uplink_names), 2)
end
ffi.metatype(types.writable_uplink, { __index = no_number, __newindex = no_number })

local World, Policy = {}, {}
World.__index, Policy.__index = World, Policy
-- Hooks are not methods, although a call may look like one.
setmetatable(Policy, {
  __index = function(_, key)
    if HOOKS[key] then
      fail(2, "policy:%s: expected policy:hook(\"%s\", conn, uplink, facts)", key, key)
    end
    return nil
  end,
})

-- Called with a dot, a method gets its first argument as self.
local function check_self(self, class, call)
  if getmetatable(self) ~= class then
    fail(3, "%s: call it with a colon, %s(…)", call:gsub(":", "."), call)
  end
end

local function check_count(what, n)
  if type(n) ~= "number" or not (n >= 1 and n < math.huge) then
    fail(3, "%s: expected a number of picks, from 1, got %s", what, tostring(n))
  end
end

---@class steerway.TestUplink  any field of an uplink: { name = "fibre", weight = 7, tags = { "metered" }, rx_capacity = 1e6 }

---Make a world with these uplinks. It replaces the previous world, whose policies must not be used any more.
---@param uplinks steerway.TestUplink[]
---@param o? { now?: number, time?: number }  the clocks to begin with: monotonic, and seconds since 1970
function testing.world(uplinks, o)
  check_fields("testing.world", o, { now = "number", time = "number" }, 2)
  if type(uplinks) ~= "table" then
    fail(2, "testing.world: expected a list of uplinks such as { { name = \"fibre\" } }, got %s", type(uplinks))
  end
  o = o or {}
  types.bind(nil)
  local frame, conn, stats = types.bound()
  frame.now, frame.wall = o.now or 1000, o.time or os.time()
  for id in pairs(types.by_id) do
    types.by_id[id] = nil
  end
  for i = #types.listed, 1, -1 do
    types.listed[i] = nil
  end
  for id in pairs(types.tags) do
    types.tags[id] = nil
  end
  local world = setmetatable({
    frame = frame, ids = frame.ids, offers = frame.offers, conn = conn, stats = stats,
    uplinks = {}, -- as policies see them
    views = {}, -- the same, with numbers that can be set: world.views[1].up = false
    policies = {},
  }, World)
  for _, spec in ipairs(uplinks) do
    world:add(spec)
  end
  return world
end

---@param spec steerway.TestUplink
---@return steerway.Uplink
function World:add(spec)
  if type(spec) ~= "table" then
    fail(3, "expected uplinks as tables such as { name = \"fibre\" }, got a %s", type(spec))
  end
  local id = #self.uplinks + 1
  local view = types.writable_uplink { weight = 1, tier = 1, id = id, up = true, ipv4 = true, quota_left = math.huge }
  for key, value in pairs(spec) do
    if not OWN[key] and not pcall(function() return view[key] end) then
      fail(3, "%s = %s: %s", key, tostring(value), nearest.complaint("an uplink", key, types.uplink_names))
    end
    local kind = OWN[key] or type(view[key])
    if type(value) ~= kind then
      fail(3, "%s: expected a %s, got %s", key, kind, type(value))
    elseif not OWN[key] then
      view[key] = value
    end
  end
  local name = spec.name or "uplink" .. id
  self.views[id] = view
  self.uplinks[id] = types.add_uplink(view, id, name, spec.kind or "interface", spec.interface or name, spec.tags or {})
  return self.uplinks[id]
end

---@param name string
---@return table view              its numbers, to be set: world:named("lte").active = 3
---@return steerway.Uplink uplink  as policies see it
function World:named(name)
  check_self(self, World, "world:named")
  local view, uplink = self:find(name, 2) -- a tail call would hide the line of the error
  return view, uplink
end

-- level: of the error, as seen by the caller of this function.
function World:find(name, level)
  local names = {}
  for id, u in ipairs(self.uplinks) do
    if u.name == name then
      return self.views[id], u
    end
    names[id] = u.name
  end
  local close = nearest.of(name, names)
  fail(level + 1, "unknown uplink %s%s (known: %s)", tostring(name), close and ("; did you mean %s?"):format(close) or "",
    table.concat(names, ", "))
end

-- Fill the frame with a connection, as the engine does before a call.
function World:begin(fields, level)
  check_fields("conn", fields, CONN_FIELDS, (level or 2) + 1)
  fields = fields or {}
  local function value(key)
    if fields[key] ~= nil then
      return fields[key]
    end
    return CONN[key]
  end
  self.frame.now = fields.now or self.frame.now
  local c = self.frame.conn
  c.id, c.now, c.port, c.attempt = value "id", self.frame.now, value "port", value "attempt"
  c.is_domain, c.is_ipv6, c.race, c.bind = value "is_domain", value "is_ipv6", value "race", value "bind"
  self.kept = {} -- keeps the texts alive that the frame points to
  for _, key in ipairs(TEXTS) do
    self.kept[key] = value(key)
    self.frame[key] = self.kept[key] or ffi.cast("const char *", nil)
  end
  self.frame.calls = self.frame.calls + 1
  self.frame.live = true
end

function World:finish()
  self.frame.live = false
  for _, key in ipairs(TEXTS) do
    self.frame[key] = nil
  end
end

---Let this many seconds pass on both clocks; timers run when they are due.
---@param seconds number
function World:pass(seconds)
  check_self(self, World, "world:pass")
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds < math.huge) then
    fail(2, "pass: expected seconds, from 0, got %s", tostring(seconds))
  end
  local frame, to = self.frame, self.frame.now + seconds
  while frame.next_timer <= to do
    local step = math.max(0, frame.next_timer - frame.now)
    frame.now, frame.wall = frame.now + step, frame.wall + step
    for _, policy in ipairs(self.policies) do
      policy.entry.timer()
    end
  end
  frame.now, frame.wall = to, frame.wall + to - frame.now
end

---@class steerway.TestLoadOptions
---@field params? table<string, any>    as --set would give them
---@field file? string                  where the text stands, when one is given; what it requires is looked for beside it
---@field files? table<string, string>  files that are not there: path to text
---@field random? fun(): number         instead of math.random

---Load a policy as the proxy does, including its selftest. Raises the error line that the proxy would print.
---@param source string  a path that ends in .lua, or the policy's text
---@param o? steerway.TestLoadOptions
function World:load(source, o)
  check_self(self, World, "world:load")
  check_fields("load", o, LOAD_OPTIONS, 2)
  o = o or {}
  local policy = setmetatable({ world = self, said = {}, options = o }, Policy)
  policy:take(source)
  self.policies[#self.policies + 1] = policy
  return policy
end

local function reader(files)
  return function(path)
    if files[path] then
      return files[path]
    end
    return host.read_file(path)
  end
end
testing.reader = reader

-- Load into this object, and import what the policy before exports.
function Policy:take(source)
  local o = self.options
  local is_path = source and source:find "%.lua$" and not source:find "\n"
  local file = is_path and source or o.file or "policy.lua"
  local files = {}
  for path, text in pairs(o.files or {}) do
    files[path] = text
  end
  if source and not is_path then
    files[file] = source
  end
  local state = self.entry and self.entry.export and self.entry.export()
  local loaded = host.load {
    file = file, lua_dir = testing.lua_dir, read = reader(files), params = o.params, random = o.random, wall = o.wall,
    metric = o.metric,
    log = o.log or function(level, text)
      self.said[#self.said + 1] = level .. ": " .. text
    end,
  }
  if state and loaded.entry.import and loaded.policy.name == self.policy.name then
    loaded.entry.import(state)
  end
  if loaded.entry.selftest then
    loaded.entry.selftest()
  end
  self.source, self.policy, self.hooks, self.entry = source, loaded.policy, loaded.hooks, loaded.entry
end

---Reload, as saving the file does: a new generation imports what the old one exports. After an error the old one
---stays.
---@param source? string  another text or path; the same again if nil
function Policy:reload(source)
  self:take(source or self.source)
end

-- Ids of the candidates: by name, by number, or all that are up.
function Policy:candidates(who, level)
  local ids = {}
  if who then
    for i, each in ipairs(who) do
      ids[i] = type(each) == "string" and select(2, self.world:find(each, (level or 2) + 1)).id or each
    end
    return ids
  end
  for id, view in ipairs(self.world.views) do
    if view.up then
      ids[#ids + 1] = id
    end
  end
  return ids
end

local PER = { "client", "destination" } -- enum policy_per

-- The work of the engine, between begin and finish.
function Policy:raw_pick(ids)
  local frame, to, offers = self.world.frame, self.world.ids, self.world.offers
  frame.n = #ids
  ffi.fill(offers, ffi.sizeof(offers))
  for i = 1, frame.n do
    to[i - 1] = ids[i]
    offers[ids[i]] = 1
  end
  frame.timeout_s, frame.hedge_s, frame.race_any, frame.resolve, frame.per = 0, 0, false, false, 0
  return self.entry.pick()
end

---@class steerway.TestAnswer
---@field verdict "use"|"refuse"|"no opinion"  what pick decided
---@field uplink string|nil  the name of the one that is used
---@field names string[]     in order of preference
---@field reason string  as the log would show it
---@field timeout number     0 when pick said none
---@field hedge number       0 when pick said none; below 0 for never
---@field race "any"|nil  what pick said
---@field resolve true|nil  what pick said
---@field per "client"|"destination"|nil  what pick said

---Ask for an uplink. A mistake of pick raises the error that the proxy would log.
---@param conn? table  the fields that differ from an ordinary connection's: { host = "…", port = 22, client = "…" }
---@param who? (string|integer)[]  the candidates; all that are up if nil
---@return steerway.TestAnswer
function Policy:pick(conn, who)
  check_self(self, Policy, "policy:pick")
  local frame, ids = self.world.frame, self:candidates(who, 2)
  if #ids == 0 then
    fail(2, "pick: expected one candidate at least: no uplink is up, or the list is empty")
  end
  self.world:begin(conn, 2)
  local verdict, reason = self:raw_pick(ids)
  local out = { verdict = VERDICTS[verdict], reason = reason, timeout = frame.timeout_s, hedge = frame.hedge_s, names = {},
    race = frame.race_any and "any" or nil, resolve = frame.resolve or nil, per = PER[frame.per] }
  if out.verdict == "use" then
    for i = 1, frame.n do
      out.names[i] = types.by_id[frame.ids[i - 1]].name
    end
  end
  out.uplink = out.names[1]
  self.world:finish()
  return out
end

---The names chosen by that many picks: "a b a".
function Policy:sequence(n, conn, who)
  check_self(self, Policy, "policy:sequence")
  check_count("sequence", n)
  local names = {}
  for i = 1, n do
    names[i] = self:pick(conn, who).uplink
  end
  return table.concat(names, " ")
end

---The number of choices of each uplink in that many picks.
---@return table<string, integer>
function Policy:tally(n, conn, who)
  check_self(self, Policy, "policy:tally")
  check_count("tally", n)
  local count = {}
  for _, u in ipairs(self.world.uplinks) do
    count[u.name] = 0
  end
  for _ = 1, n do
    local name = self:pick(conn, who).uplink
    count[name] = count[name] + 1
  end
  return count
end

---Call a hook, if the policy has it: "opened", "failed", "lost_race", "closed" or "uplink_changed". Another name is
---an error.
---@param name string
---@param conn table|nil
---@param uplink string|integer  its name or number
---@param facts? table  connect_s; error; tx, rx, duration, first_byte, reason; what: those of this hook
function Policy:hook(name, conn, uplink, facts)
  check_self(self, Policy, "policy:hook")
  if not HOOKS[name] then
    fail(2, "%s (known: %s)", nearest.complaint("a policy", name, nearest.names_of(HOOKS)):gsub("field", "hook"),
      table.concat(nearest.names_of(HOOKS), ", "))
  end
  check_fields(name, facts, HOOKS[name], 2)
  facts = facts or {}
  for fact, words in pairs(WORDS) do
    if facts[fact] then
      check_word(name .. ": " .. fact, facts[fact], words, 2)
    end
  end
  local frame = self.world.frame
  self.world:begin(conn, 2)
  frame.uplink = self:candidates({ uplink }, 2)[1]
  frame.connect_s = facts.connect_s or 0
  frame.word = facts.error or facts.reason or facts.what or ""
  frame.stats.tx, frame.stats.rx, frame.stats.duration = facts.tx or 0, facts.rx or 0, facts.duration or 0
  frame.first_byte_s = facts.first_byte or -1
  if self.entry[name] then
    self.entry[name]()
  end
  self.world:finish()
end

---The connection with that id has ended: drop its tag.
function Policy:forget(id)
  self.world.frame.conn.id = id
  self.entry.forget()
end

testing.world_class, testing.policy_class = World, Policy

return testing
