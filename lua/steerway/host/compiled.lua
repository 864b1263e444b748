-- What LuaJIT compiles to code that reads or writes out of bounds, in the versions of 2022 that distributions have. Nothing stops
-- such code: it ends the process. So a policy gets other functions in their place, and the optimization at fault is off.
-- docs/policy-bounds.md names LuaJIT's own reports of these faults.

local compiled = {}

local raw_byte, raw_len, raw_sub = string.byte, string.len, string.sub
local raw_select, raw_tonumber, raw_tostring, raw_type = select, tonumber, tostring, type
local ceil, floor = math.ceil, math.floor

---For the Lua state as a whole, before any code is compiled. LuaJIT moves the check of an index out of a loop, though the loop
---puts another table, or a shorter one, in place of the first.
function compiled.begin()
  require("jit.opt").start "-abc"
end

-- As C reads a place: toward zero. Not a number is before all others.
local function whole(place)
  if place ~= place then
    return -math.huge
  end
  return place < 0 and ceil(place) or floor(place)
end

-- string.byte and string.sub, with places that are within the text. LuaJIT subtracts them in 32 bits, however far apart they are,
-- and takes an end that is counted from behind for one that is too large, where the loop began with such ones.
local function between(raw, nothing)
  return function(text, from, to)
    local a, b = raw_tonumber(from), raw_tonumber(to)
    local kind = raw_type(text)
    if not a or not b or kind ~= "string" and kind ~= "number" then
      return raw(text, from, to) -- complains
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

---select, of which LuaJIT takes the number to be no text.
function compiled.select(n, ...)
  if raw_type(n) == "string" then
    return raw_select(raw_tonumber(n) or n, ...)
  end
  return raw_select(n, ...)
end

return compiled
