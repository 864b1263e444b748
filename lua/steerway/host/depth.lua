-- Limits the depth of C's stack below a policy's code. Each level takes up to 9 KiB, which Lua's own limits do not
-- count, and a deep stack is slow to leave when a call is stopped.
--
-- C's stack grows where a C function calls Lua functions. string.gsub calls its replacement (or a table's __index),
-- and coroutine.resume and wrap run another coroutine. Metamethods of operators, tostring and pcall stay within the
-- interpreter and take none. Everything else that could call back is written in Lua (table.sort, load's reader,
-- string.format's __tostring).
--
-- The rule: count the C calls below the running code. A coroutine that yields has none of its own, since it cannot
-- yield across a C call; and it may be resumed at any depth. So the level is that of its latest resumption (base)
-- plus its own calls. pcall and the others restore their distance from base, not a level.

local depth = {}

local raw_error, raw_pcall, raw_type = error, pcall, type
local raw_create, raw_resume = coroutine.create, coroutine.resume

local DEPTH_MAX = 50

local level, base = 0, 0

local function refuse(name)
  raw_error(name .. ": nested too deeply: functions that are called by builtins call builtins, 50 times over", 3)
end

local function back(own, ...)
  level = base + own
  return ...
end

---Wraps a C function that calls Lua functions: at most 50 such calls may be nested.
---@param name string
---@param f function
---@return function
function depth.guarded(name, f)
  return function(...)
    local own = level - base
    if level >= DEPTH_MAX then
      refuse(name)
    end
    level = level + 1
    return back(own, f(...))
  end
end

---pcall, which restores the level, whatever has failed.
function depth.pcall(...)
  return back(level - base, raw_pcall(...))
end

-- The resuming coroutine has not moved, so its levels are unchanged.
local function resumed(level_before, base_before, ...)
  level, base = level_before, base_before
  return ...
end

local function resume(co, ...)
  local level_before, base_before = level, base
  level = level + 1
  base = level
  return resumed(level_before, base_before, raw_resume(co, ...))
end

---coroutine.resume
function depth.resume(co, ...)
  if raw_type(co) ~= "thread" then
    return raw_resume(co) -- raises the error
  elseif level >= DEPTH_MAX then
    refuse "coroutine.resume"
  end
  return resume(co, ...)
end

local function pass_on(ok, ...)
  if not ok then
    raw_error((...), 2) -- it was a tail call: level 2 is the caller of the wrapped function
  end
  return ...
end

---coroutine.wrap
function depth.wrap(f)
  local co = raw_create(f)
  return function(...)
    if level >= DEPTH_MAX then
      refuse "coroutine.wrap"
    end
    return pass_on(resume(co, ...))
  end
end

---The engine starts a call: no level is in use.
function depth.begin()
  level, base = 0, 0
end

return depth
