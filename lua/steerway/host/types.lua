-- The types that policies see: C structs read in place, whose fields cannot be written and whose unknown names raise
-- an error. A policy must not get a pointer, so texts are not fields; they are looked up on demand.
--
-- engine/core/uplink/uplink_view.h and engine/core/policy/frame.h have the same structs; a unit test compares size
-- and offsets.

local ffi = require "ffi"
local ffi_string, istype = ffi.string, ffi.istype -- LuaJIT knows a local function, and looks a field of ffi up in each call
local nearest = require "steerway.host.nearest"

local types = {}

local VIEW = [[
  $double weight;
  $double tier;
  $double active;
  $double total;
  $double failures;
  $double races_lost;
  $double fail_rate;
  $double tx_bytes, rx_bytes;
  $double tx_rate, rx_rate;
  $double tx_capacity, rx_capacity;
  $double busy;
  $double connect_time;
  $double rtt;
  $double quota_left;
  $int32_t id;
  $bool up, ipv4, ipv6;
]]
local CONN = [[
  $double id, now, port, attempt;
  $bool is_domain, is_ipv6, race, bind;
]]
local STATS = [[
  $double tx, rx, duration;
]]
local FRAME = [[
  struct { %s } conn;
  struct { %s } stats;
  double calls, now, wall, next_timer;
  double connect_s, first_byte_s, timeout_s, hedge_s;
  const char *host, *address, *client, *user, *listener, *proto, *last_error, *word;
  int32_t uplink, n_tags;
  int32_t n;
  int32_t ids[64];
  uint8_t offers[65];
  int32_t per;
  bool race_any, resolve, live;
]]

local function struct(fields, const)
  return ffi.typeof("struct { " .. fields:gsub("%$", const) .. " }")
end

local function names_of(fields, ...)
  local names = { ... }
  for name in fields:gmatch "([%w_]+)[,;]" do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

-- Policies see a const type; the engine (and tests) write through the other.
local uplink_t = struct(VIEW, "const ")
local conn_t = struct(CONN, "const ")
local stats_t = struct(STATS, "const ")
local frame_t = ffi.typeof("struct {" .. FRAME:format((CONN:gsub("%$", "")), (STATS:gsub("%$", ""))) .. "}")
local frame_ptr = ffi.typeof("$ *", frame_t)
local uplink_ptr = ffi.typeof("$ *", uplink_t)
local conn_ptr = ffi.typeof("$ *", conn_t)
local stats_ptr = ffi.typeof("$ *", stats_t)
local chars = ffi.typeof "const char *"
types.writable_uplink = struct(VIEW, "")

local frame, conn, stats -- exchanged between the engine and this VM; see engine/core/policy/frame.h
local anchor -- keeps the frame of a test alive
local by_id, listed, text_of, device_of, kept = {}, {}, {}, {}, {}
local tags = {} -- by connection id

---@type table<integer, steerway.Uplink>
types.by_id = by_id
---@type steerway.Uplink[]  in the order that the user gave, without those that were removed
types.listed = listed
types.tags = tags
types.kept = kept

local uplink_names = names_of(VIEW, "name", "kind", "interface", "tags")
types.uplink_names = uplink_names
local conn_names = names_of(CONN, "host", "address", "client", "user", "listener", "proto", "last_error", "tag")
types.conn_names = conn_names
local stats_names = names_of(STATS, "first_byte", "reason", "tag")
types.stats_names = stats_names

local function read_only(what)
  return function(_, key)
    error(("%s.%s cannot be set: %s is read-only"):format(what, tostring(key), what), 2)
  end
end

local function text(p)
  if p == nil then
    return nil
  end
  return ffi_string(p)
end

local function must_live(what)
  if not frame.live then
    error(what .. " may only be read during the call it was given to", 3)
  end
end

ffi.metatype(uplink_t, {
  __index = function(u, key)
    local id = u.id
    if key == "interface" then
      return text(device_of[id])
    end
    local own = text_of[id]
    local value = own and own[key]
    if value == nil then
      error(nearest.complaint("uplink", key, uplink_names), 2)
    end
    return value
  end,
  __newindex = read_only "uplink",
  __tostring = function(u)
    local own = text_of[u.id]
    return "uplink " .. (own and own.name or u.id)
  end,
})

-- Texts that rules read often are made once a call. Each has its own reader instead of a common one, since compiled
-- code treats it as a constant.
local host_of, host, client_of, client = 0, nil, 0, nil

local conn_text = {
  host = function()
    if host_of ~= frame.calls then
      host_of, host = frame.calls, text(frame.host)
    end
    return host
  end,
  client = function()
    if client_of ~= frame.calls then
      client_of, client = frame.calls, text(frame.client)
    end
    return client
  end,
  address = function() return text(frame.address) end,
  user = function() return text(frame.user) end,
  listener = function() return text(frame.listener) end,
  proto = function() return text(frame.proto) end,
  last_error = function() return text(frame.last_error) end,
  tag = function() return tags[frame.conn.id] end,
}
ffi.metatype(conn_t, {
  __index = function(_, key)
    local read = conn_text[key]
    if not read then
      error(nearest.complaint("conn", key, conn_names), 2)
    end
    must_live "conn"
    return (read())
  end,
  __newindex = read_only "conn",
  __tostring = function() return "conn" end,
})

local stats_text = {
  reason = function() return text(frame.word) end,
  tag = function() return tags[frame.conn.id] end,
  first_byte = function()
    local s = frame.first_byte_s
    if s >= 0 then
      return s
    end
    return nil
  end,
}
ffi.metatype(stats_t, {
  __index = function(_, key)
    local read = stats_text[key]
    if not read then
      error(nearest.complaint("stats", key, stats_names), 2)
    end
    must_live "stats"
    return (read())
  end,
  __newindex = read_only "stats",
  __tostring = function() return "stats" end,
})

---@param value any
---@return boolean
function types.is_uplink(value)
  return (istype(uplink_t, value)) -- LuaJIT gives up a trace with many tail calls and turns of loops
end

---Use the engine's frame; with nil, a new frame.
---@param address lightuserdata|nil
function types.bind(address)
  if address == nil then
    local calls = frame and frame.calls or 0 -- continues, so that the cached texts become stale
    anchor = frame_t()
    address = anchor
    anchor.calls = calls
    anchor.live = true
    anchor.next_timer = math.huge
    anchor.wall = os.time()
  end
  frame = ffi.cast(frame_ptr, address)
  conn, stats = ffi.cast(conn_ptr, frame.conn)[0], ffi.cast(stats_ptr, frame.stats)[0]
end

---@return ffi.cdata* frame
---@return steerway.Conn conn
---@return steerway.Stats stats
function types.bound()
  return frame, conn, stats
end

---Monotonic seconds of the current call.
---@return number
function types.now()
  return frame.now
end

---Seconds since 1970 of the current call.
---@return number
function types.wall()
  return frame.wall
end

---@param due number  when the engine is to call for timers; math.huge for never
function types.set_next_timer(due)
  frame.next_timer = due
end

local tags_meta = {
  __metatable = false,
  __newindex = read_only "tags",
}

---Add an uplink. Its struct must live as long as this VM.
---@param address lightuserdata|ffi.cdata*  of its struct uplink_view
---@param id integer
---@param name string
---@param kind string
---@param interface lightuserdata|string    where its device's name stands
---@param labels string[]
---@param removed? boolean  it gets no new connections, and may still be told of its open ones
---@return steerway.Uplink
function types.add_uplink(address, id, name, kind, interface, labels, removed)
  local set = {}
  for i, label in ipairs(labels) do
    set[i] = label
    set[label] = true
  end
  kept[id] = { address, interface } -- objects of a test
  text_of[id] = { name = name, kind = kind, tags = setmetatable(set, tags_meta) }
  device_of[id] = ffi.cast(chars, interface)
  by_id[id] = ffi.cast(uplink_ptr, address)[0]
  if not removed then
    listed[#listed + 1] = by_id[id]
  end
  return by_id[id]
end

---Size and offsets of all structs, for the comparison with C: "uplink" → size, "uplink.weight" → offset.
---@return table<string, integer>
function types.layout()
  local out = {}
  local function add(name, ctype, fields)
    out[name] = ffi.sizeof(ctype)
    for _, field in ipairs(names_of(fields)) do
      out[name .. "." .. field] = ffi.offsetof(ctype, field)
    end
  end
  add("uplink", uplink_t, VIEW)
  add("uplink_rw", types.writable_uplink, VIEW)
  add("conn", conn_t, CONN)
  add("stats", stats_t, STATS)
  out.frame = ffi.sizeof(frame_t)
  for field in FRAME:gsub("{.-}", ""):gmatch "([%w_]+)[%[,;]" do
    out["frame." .. field] = ffi.offsetof(frame_t, field)
  end
  return out
end

---Make a list of uplinks raise an error when it is indexed by a name, which would always be nil.
---@param what string  what policies call the list
---@param list steerway.Uplink[]
---@return steerway.Uplink[]  the same
function types.guard_names(what, list)
  return setmetatable(list, {
    __metatable = false,
    __index = function(_, key)
      if type(key) == "number" then
        return nil
      end
      error(("%s is a list, without a field '%s': an uplink is found by for _, u in ipairs(%s) do if u.name == \"%s\" …")
        :format(what, tostring(key), what, tostring(key)), 2)
    end,
  })
end

return types
