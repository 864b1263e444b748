-- Functions that LuaJIT (the versions of 2022 in distributions) compiles to code that reads or writes out of bounds.
-- Such code cannot be stopped: it ends the process. So policies get replacements, and the faulty optimization is off.
-- docs/policy-bounds.md lists LuaJIT's own reports of these faults.

local compiled = {}

local raw_byte, raw_len, raw_sub = string.byte, string.len, string.sub
local raw_select, raw_tonumber, raw_tostring, raw_type = select, tonumber, tostring, type
local ceil, floor = math.ceil, math.floor

---For the whole Lua state, before any code is compiled.
---abc: LuaJIT moves the check of an index out of a loop, even if the loop replaces the table by another or shorter one.
---loopunroll: LuaJIT unrolls short loops into one trace. A pick over six uplinks may have 35 iterations of them. By default
---LuaJIT gives up after 15, and interprets a part of each pick.
function compiled.begin()
  require("jit.opt").start("-abc", "loopunroll=40")
end

-- Converts a place as C does: toward zero. NaN counts as less than every number.
local function whole(place)
  if place ~= place then
    return -math.huge
  end
  return place < 0 and ceil(place) or floor(place)
end

-- string.byte and string.sub, with places inside the text. LuaJIT subtracts places in 32 bits, whatever their
-- distance. In loops it also mistakes an end that counts from behind for one that is too large.
local function between(raw, nothing)
  return function(text, from, to)
    local a, b = raw_tonumber(from), raw_tonumber(to)
    local kind = raw_type(text)
    if not a or not b or kind ~= "string" and kind ~= "number" then
      return raw(text, from, to) -- raises the error
    end
    text = kind == "string" and text or raw_tostring(text)
    local size = raw_len(text)
    a, b = whole(a), whole(b)
    a, b = a < 0 and a + size + 1 or a, b < 0 and b + size + 1 or b
    a, b = a < 1 and 1 or a, b > size and size or b
    if a > b then
      return nothing(text)
    end
    return raw(text, a, b)
  end
end

local byte = between(raw_byte, function() end)

---string.byte
function compiled.byte(text, from, to)
  if to == nil then
    return raw_byte(text, from)
  end
  return byte(text, from == nil and 1 or from, to)
end

local sub = between(raw_sub, function() return "" end)

---string.sub
function compiled.sub(text, from, to)
  return sub(text, from, to == nil and -1 or to)
end

---select; LuaJIT assumes that its number is not a text.
function compiled.select(n, ...)
  if raw_type(n) == "string" then
    return raw_select(raw_tonumber(n) or n, ...)
  end
  return raw_select(n, ...)
end

return compiled
