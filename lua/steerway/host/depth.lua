-- How deep C's stack is under a policy's code, so that it never ends: each level takes up to 9 KiB of it, which Lua's own limits
-- do not count, and what is deep is slow to leave when it is stopped.
--
-- C's stack grows where a C function calls Lua functions: string.gsub calls its replacement (or a table's __index), and
-- coroutine.resume and wrap run another coroutine. Metamethods of operators, tostring and pcall go on within the interpreter and
-- take none; everything else that could call back is written in Lua (table.sort, load's reader, string.format's __tostring).
--
-- The rule: what is counted is the C calls beneath the code that runs now. A coroutine has none of its own when it yields, since
-- a C call cannot be yielded across; and it may be resumed at any depth. So the level is that of its latest resumption (base)
-- plus its own calls, and what pcall and the others restore is their distance from base, never a level as such.

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

---A C function that calls Lua functions, nested in others of its kind 50 times at most.
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

---pcall, after which the level is that from before, whatever has failed.
function depth.pcall(...)
  return back(level - base, raw_pcall(...))
end

-- Who resumes stays where he is, so his levels are what they were.
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
    return raw_resume(co) -- complains
  elseif level >= DEPTH_MAX then
    refuse "coroutine.resume"
  end
  return resume(co, ...)
end

local function pass_on(ok, ...)
  if not ok then
    raw_error((...), 2) -- it was a tail call: 2 is who called the wrapped one
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

---The engine calls: nothing is under way.
function depth.begin()
  level, base = 0, 0
end

return depth
