-- Functions of the table library, in Lua where C would take time in proportion to the table. The time budget stops
-- Lua code, wherever the table's end is (with holes, #t may be any border).

local tables = {}

local raw_error, raw_floor, raw_getmetatable, raw_next, raw_select = error, math.floor, getmetatable, next, select
local raw_rawget, raw_rawset, raw_tonumber, raw_type = rawget, rawset, tonumber, type
local raw_concat, raw_insert = table.concat, table.insert

-- Items that C joins at a time: numbers take up to 1 us each.
local CONCAT_MAX = 4096
-- Up to this length, insertion sort is the fastest.
local FEW = 12

---table.insert, at places within the list only.
function tables.insert(t, ...)
  local n = raw_select("#", ...)
  if raw_type(t) ~= "table" or n < 1 or n > 2 then
    return raw_insert(t, ...) -- raises the error
  end
  local last = #t + 1
  if n == 1 then
    raw_rawset(t, last, (...))
    return
  end
  local at, value = ...
  at = raw_tonumber(at)
  if not at then
    return raw_insert(t, ...)
  elseif not (at >= 1 and at <= last) then
    raw_error(("table.insert: position %g is outside of the list; expected 1 to %d"):format(at, last), 2)
  end
  at = raw_floor(at)
  for i = last, at + 1, -1 do
    raw_rawset(t, i, raw_rawget(t, i - 1))
  end
  raw_rawset(t, at, value)
end

---table.concat
function tables.concat(t, between, from, to)
  local first = from == nil and 1 or raw_tonumber(from)
  local last = to ~= nil and raw_tonumber(to) or to == nil and raw_type(t) == "table" and #t
  local are_many = first and last and last - first >= CONCAT_MAX
  if not are_many then
    return raw_concat(t, between, from, to)
  end
  local parts, n = {}, 0
  while first <= last do
    local stop = first + CONCAT_MAX - 1
    n = n + 1
    parts[n] = raw_concat(t, between, first, stop < last and stop or last)
    first = stop + 1
  end
  return raw_concat(parts, between)
end

---table.maxn
function tables.maxn(t)
  if raw_type(t) ~= "table" then
    raw_error(("bad argument #1 to 'maxn' (table expected, got %s)"):format(raw_type(t)), 2)
  end
  local most = 0
  for key in raw_next, t do
    if raw_type(key) == "number" and key > most then
      most = key
    end
  end
  return most
end

local function less_of_two(a, b)
  return a < b
end

local function insert_sorted(t, n, less)
  for i = 2, n do
    local value, at = raw_rawget(t, i), i
    while at > 1 and less(value, raw_rawget(t, at - 1)) do
      raw_rawset(t, at, raw_rawget(t, at - 1))
      at = at - 1
    end
    raw_rawset(t, at, value)
  end
end

-- Move the value down from `at` to its place among the first n, which form a heap.
local function sink(t, at, n, value, less)
  while at * 2 <= n do
    local child = at * 2
    if child < n and less(raw_rawget(t, child), raw_rawget(t, child + 1)) then
      child = child + 1
    end
    if not less(value, raw_rawget(t, child)) then
      break
    end
    raw_rawset(t, at, raw_rawget(t, child))
    at = child
  end
  raw_rawset(t, at, value)
end

-- Takes no memory, and ends whatever the comparison returns.
local function heap_sort(t, n, less)
  for at = raw_floor(n / 2), 1, -1 do
    sink(t, at, n, raw_rawget(t, at), less)
  end
  for last = n, 2, -1 do
    local value = raw_rawget(t, last)
    raw_rawset(t, last, raw_rawget(t, 1))
    sink(t, 1, last - 1, value, less)
  end
end

-- Without a comparison, a list has only numbers, only texts, or only tables with their own comparison.
local function check_alike(t, n)
  local kind = raw_type(raw_rawget(t, 1))
  for i = 2, n do
    local value = raw_rawget(t, i)
    if raw_type(value) ~= kind then
      raw_error(("table.sort: cannot compare a %s (item 1) with a %s (item %d)"):format(kind, raw_type(value), i), 3)
    end
  end
  if n > 1 and kind ~= "number" and kind ~= "string" and raw_getmetatable(raw_rawget(t, 1)) == nil then
    raw_error(("table.sort: cannot compare a %s with another; expected numbers, texts, or a function(a, b)"):format(kind), 3)
  end
end

---table.sort
function tables.sort(t, less)
  if raw_type(t) ~= "table" then
    raw_error(("bad argument #1 to 'sort' (table expected, got %s)"):format(raw_type(t)), 2)
  elseif less ~= nil and raw_type(less) ~= "function" then
    raw_error(("bad argument #2 to 'sort' (function expected, got %s)"):format(raw_type(less)), 2)
  end
  local n = #t
  if less == nil then
    check_alike(t, n)
    less = less_of_two
  end
  if n <= FEW then
    insert_sorted(t, n, less)
  else
    heap_sort(t, n, less)
  end
end

return tables
