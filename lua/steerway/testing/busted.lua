-- busted caches the results of ffi.typeof and ffi.metatype by their first argument only, so it takes every "$ *" for
-- one type. This restores the original functions. Require it before any of Steerway's types.

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
