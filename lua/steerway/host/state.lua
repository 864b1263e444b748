-- What a policy hands to its successor over a reload, export() → import(t): plain data, as text between two Lua states.

local buffer = require "string.buffer"

local state = {}

local PLAIN = { ["nil"] = true, boolean = true, number = true, string = true, table = true }
local DEPTH_MAX = 64
-- As many as a call has time for. A table that is met twice counts twice, as it is written twice.
local VALUES_MAX = 500000

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

local function count(t, n, depth)
  for _, inner in next, t do
    n = n + 1
    if n > VALUES_MAX then
      error(("export: more than %d values"):format(VALUES_MAX), 0)
    elseif type(inner) == "table" and depth < DEPTH_MAX then
      n = count(inner, n, depth + 1)
    end
  end
  return n
end

---@param t any  what export returned
---@return string|nil  nil for nil
function state.encode(t)
  if t == nil then
    return nil
  elseif type(t) ~= "table" then
    error("export: expected it to return a table, got " .. type(t), 0)
  end
  count(t, 0, 1) -- since encoding cannot be stopped
  local ok, text = pcall(buffer.encode, t)
  if ok then
    return text
  end
  check(t, "what it returned", 0)
  error("export: " .. tostring(text), 0)
end

---@param text string  made by encode
---@return table
function state.decode(text)
  return buffer.decode(text)
end

return state
