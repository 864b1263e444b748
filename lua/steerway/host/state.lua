-- Passes a policy's state to its successor at a reload, from export() to import(t). It is plain data, as text between
-- two Lua states.

local buffer = require "string.buffer"
local new_table = require "table.new"

local state = {}

local PLAIN = { ["nil"] = true, boolean = true, number = true, string = true, table = true }
local DEPTH_MAX = 64
-- As many values as a call has time for. A table that occurs twice counts twice, since it is written twice.
local VALUES_MAX = 500000
-- Limit in bytes for one text: LuaJIT makes it in a buffer of 8 MiB (engine/core/policy/vm.c).
local BYTES_MAX = 2 ^ 23 - 2 ^ 16
-- C writes or reads this many values at a time, in about 2 ms. Between two slices the time budget can stop the call.
local SLICE_MAX = 10000
-- Number keys beside a table's list. A policy can choose keys with equal hashes, for which C takes quadratic time. If
-- there are more, Lua inserts them.
local SPREAD_MAX = 300

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

-- Most bytes that C writes for a value.
local function bytes_of(value)
  local kind = type(value)
  return kind == "string" and #value + 5 or kind == "number" and 9 or 5
end

local function refuse_bytes()
  error(("export: more than %d bytes"):format(BYTES_MAX), 0)
end

-- Count values and their bytes. Records in `apart` the tables that are written in slices.
local function count(t, n, bytes, depth, apart)
  local before, beside, holds, last = n, 0, false, #t
  for key, inner in next, t do
    n = n + 1
    bytes = bytes + bytes_of(inner)
    if type(key) ~= "number" or not (key >= 1 and key <= last) then
      bytes = bytes + bytes_of(key)
      beside = beside + (type(key) == "number" and 1 or 0)
    end
    if n > VALUES_MAX then
      error(("export: more than %d values"):format(VALUES_MAX), 0)
    elseif bytes > BYTES_MAX then
      refuse_bytes()
    elseif depth < DEPTH_MAX then
      if type(inner) == "table" then
        n, bytes = count(inner, n, bytes, depth + 1, apart)
        holds = holds or apart[inner]
      end
      if type(key) == "table" then
        n, bytes = count(key, n, bytes, depth + 1, apart)
        holds = holds or apart[key]
      end
    end
  end
  if holds or beside > SPREAD_MAX or n - before > SLICE_MAX then
    apart[t] = true
  end
  return n, bytes
end

-- The number of values in a table that is not written in slices.
local function size_of(t)
  local n = 1
  for key, inner in next, t do
    n = n + (type(inner) == "table" and size_of(inner) or 1) + (type(key) == "table" and size_of(key) or 0)
  end
  return n
end

-- The number of entries, and how many of them form a list from 1 on.
local function shape(t)
  local n, last = 0, 0
  for key in next, t do
    n = n + 1
    if key == last + 1 then
      last = key
    end
  end
  return n, last
end

-- Write in slices: first the list, then keys and values in turn. A number in place of a slice says that the next one
-- is itself written in slices.
local write

local function write_apart(to, t, depth, apart)
  local slice, used, room = new_table(SLICE_MAX, 0), 0, SLICE_MAX

  local function flush()
    if used > 0 then
      to:encode(slice)
      slice, used, room = new_table(SLICE_MAX, 0), 0, SLICE_MAX
    end
  end

  local function put(value)
    if type(value) == "table" then
      if apart[value] then
        flush()
        to:encode(0)
        return write(to, value, depth + 1, apart)
      end
      room = room - size_of(value)
    end
    used, room = used + 1, room - 1
    slice[used] = value
    if room <= 0 then
      flush()
    end
  end

  local n, last = shape(t)
  to:encode(n):encode(last)
  for i = 1, last do
    put(t[i])
  end
  for key, value in next, t do
    if type(key) ~= "number" or key < 1 or key > last or key % 1 ~= 0 then
      put(key)
      put(value)
    end
  end
  flush()
end

function write(to, value, depth, apart)
  if depth > DEPTH_MAX then
    error("tables within tables", 0) -- check names the place
  end
  local by_slices = apart[value] or false
  to:encode(by_slices)
  if by_slices then
    write_apart(to, value, depth, apart)
  else
    to:encode(value)
  end
end

local function written(t, apart)
  local to = buffer.new()
  write(to, t, 1, apart)
  if #to > BYTES_MAX then -- of which the count did not know
    refuse_bytes()
  end
  return to:tostring()
end

local read

-- Reads what write_apart has written, one item after the other.
local function taker(from)
  local slice, at, last = nil, 0, 0
  return function()
    if at == last then
      slice = from:decode()
      if type(slice) == "number" then
        return read(from)
      end
      at, last = 0, #slice
    end
    at = at + 1
    return slice[at]
  end
end

function read(from)
  local by_slices = from:decode()
  if not by_slices then
    return from:decode()
  end
  local n, last = from:decode(), from:decode()
  local t = new_table(last, n - last) -- full size at once: growing would take C too long
  local take = taker(from)
  for i = 1, last do
    t[i] = take()
  end
  for _ = last + 1, n do
    local key = take()
    t[key] = take()
  end
  return t
end

---@param t any  what export returned
---@return string|nil  nil for nil
function state.encode(t)
  if t == nil then
    return nil
  elseif type(t) ~= "table" then
    error("export: expected it to return a table, got " .. type(t), 0)
  end
  local apart = {}
  count(t, 0, 0, 1, apart) -- since encoding cannot be stopped
  local ok, text = pcall(written, t, apart)
  if ok then
    return text
  end
  check(t, "what it returned", 0)
  error("export: " .. tostring(text), 0)
end

---@param text string  made by encode
---@return table
function state.decode(text)
  return read(buffer.new():set(text))
end

return state
