-- Run by busted before the specs (.busted names it).

assert(jit, "the specs need LuaJIT, as the engine does: luajit /usr/bin/busted")

-- busted remembers what ffi.typeof and ffi.metatype returned, by their first argument alone, and so takes every "$ *" for one
-- type. Give the functions back that it put its own before.
local ffi = require "ffi"
for _, name in ipairs { "cdef", "typeof", "metatype" } do
  for i = 1, math.huge do
    local upvalue, value = debug.getupvalue(ffi[name], i)
    if upvalue == "original" then
      ffi[name] = value
      break
    elseif not upvalue then
      break
    end
  end
end
