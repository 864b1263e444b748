-- busted remembers what ffi.typeof and ffi.metatype returned, by their first argument alone, and so takes every "$ *" for one
-- type. Give the functions back that it put its own before. To be required before any of Steerway's types.

local ffi = require "ffi"

assert(jit, "policies run under LuaJIT, and so must their specs: luajit /usr/bin/busted --ignore-lua …")
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

return true
