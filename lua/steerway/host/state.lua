-- What a policy hands to its successor over a reload, export() → import(t): plain data, as text between two Lua states.

local buffer = require "string.buffer"
local new_table = require "table.new"

local state = {}

local PLAIN = { ["nil"] = true, boolean = true, number = true, string = true, table = true }
local DEPTH_MAX = 64
-- As many as a call has time for. A table that is met twice counts twice, as it is written twice.
local VALUES_MAX = 500000
-- Number keys beside a table's list, which a policy may choose so that all have the same hash. C puts so many into a table in
-- 2 ms even then; more of them are put in by Lua, where the time budget stops it.
local SPREAD_MAX = 1000
local PLAIN_FORM, PACKED_FORM = "t", "p"

local function shown(key)
  if type(key) == "string" then
    return key:find "^[%a_][%w_]*$" and "." .. key or ("[%q]"):format(key)
  end
  return ("[%s]"):format(tostring(key))
end

local function check(value, where, depth)
  local kind = type(value)
  if not PLAIN[kind] then
    local hint = kind == "cdata" and " (of an uplink, keep its name)" or ""
    error(("export: %s is a %s; expected numbers, strings, booleans and tables of them%s"):format(where, kind, hint), 0)
  elseif kind ~= "table" then
    return
  elseif depth == DEPTH_MAX then
    error(("export: %s…: tables within tables, more than %d deep or in a circle"):format(where:sub(1, 60), DEPTH_MAX), 0)
  end
  for key, inner in next, value do
    check(key, where .. "'s key", depth + 1)
    check(inner, where .. shown(key), depth + 1)
  end
end

-- How many values there are, and whether a table has too many number keys beside its list.
local function count(t, n, spread, depth)
  local beside, last = 0, #t
  for key, inner in next, t do
    n = n + 1
    if type(key) == "number" and not (key >= 1 and key <= last) then
      beside = beside + 1
    end
    if n > VALUES_MAX then
      error(("export: more than %d values"):format(VALUES_MAX), 0)
    elseif type(inner) == "table" and depth < DEPTH_MAX then
      n, spread = count(inner, n, spread, depth + 1)
    end
  end
  return n, spread or beside > SPREAD_MAX
end

-- Tables as two lists each, of keys and values.
local function pack(value, depth)
  if type(value) ~= "table" then
    return value
  elseif depth == DEPTH_MAX then
    error("tables within tables", 0) -- check says where
  end
  local keys, values, n = {}, {}, 0
  for key, inner in next, value do
    n = n + 1
    keys[n], values[n] = pack(key, depth + 1), pack(inner, depth + 1)
  end
  return { keys, values }
end

local function unpacked(value)
  if type(value) ~= "table" then
    return value
  end
  local keys, values = value[1], value[2]
  local last = 0
  while keys[last + 1] == last + 1 do
    last = last + 1
  end
  local t = new_table(last, #keys - last) -- so that it never grows, which takes C as long
  for i = 1, #keys do
    t[unpacked(keys[i])] = unpacked(values[i])
  end
  return t
end

local function written(t, spread)
  local form = spread and PACKED_FORM or PLAIN_FORM
  return buffer.new():put(form):encode(spread and pack(t, 0) or t):tostring()
end

---@param t any  what export returned
---@return string|nil  nil for nil
function state.encode(t)
  if t == nil then
    return nil
  elseif type(t) ~= "table" then
    error("export: expected it to return a table, got " .. type(t), 0)
  end
  local _, spread = count(t, 0, false, 1) -- since encoding cannot be stopped
  local ok, text = pcall(written, t, spread)
  if ok then
    return text
  end
  check(t, "what it returned", 0)
  error("export: " .. tostring(text), 0)
end

---@param text string  made by encode
---@return table
function state.decode(text)
  local value = buffer.new():set(text):skip(1):decode()
  return text:sub(1, 1) == PACKED_FORM and unpacked(value) or value
end

return state
