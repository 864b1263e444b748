-- What LuaJIT compiles to code that reads or writes out of bounds, in the versions of 2022 that distributions have. Nothing stops
-- such code: it ends the process. So a policy gets other functions in their place, and the optimization at fault is off.

local compiled = {}

local raw_byte, raw_select, raw_tonumber, raw_type = string.byte, select, tonumber, type

-- No text is as long.
local FAR = 2 ^ 30

---For the Lua state as a whole, before any code is compiled. LuaJIT moves the check of an index out of a loop, though the loop
---puts another table, or a shorter one, in place of the first.
function compiled.begin()
  require("jit.opt").start "-abc"
end

-- Its place in a text, without a change of what it means.
local function near(place)
  local n = raw_tonumber(place)
  if not n then
    return place
  elseif n > FAR then
    return FAR
  end
  return n > -FAR and n or -FAR
end

---string.byte, of which LuaJIT computes the number of results in 32 bits, however far apart the two places are.
function compiled.byte(text, from, to)
  if to == nil then
    return raw_byte(text, from)
  end
  return raw_byte(text, near(from), near(to))
end

---select, of which LuaJIT takes the number to be no text.
function compiled.select(n, ...)
  if raw_type(n) == "string" then
    return raw_select(raw_tonumber(n) or n, ...)
  end
  return raw_select(n, ...)
end

return compiled
