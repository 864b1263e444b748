-- Passes texts to LuaJIT's parser in pieces. Parsing cannot be stopped inside a piece, and may take quadratic time:
-- each link of `and`, `or` or `elseif` walks its chain, each label the pending gotos, each name the visible locals,
-- and keys may collide. Between two pieces the time budget stops it, or this file does, which can name the line.
--
-- One single step takes quadratic time: at a label, or a loop's end, its jumps are chained one by one, each behind
-- all others. So a text may have 2000 of these, which takes 10 ms.

local ffi = require "ffi"

local compiling = {}

local raw_error, raw_load, raw_pcall = error, load, pcall
local raw_find, raw_format, raw_len, raw_match, raw_sub = string.find, string.format, string.len, string.match, string.sub

-- A longer text was not written by a person.
compiling.TEXT_MAX = 2 ^ 20
-- So small that about 0.1 ms pass until the clock is read again.
local PIECE = 256
-- A shorter text is parsed at once, in at most 2 ms.
local SHORT = 4096
local JUMPS_MAX = 2000
-- Part of the 50 ms of a call.
local TIME_MAX_S = 0.04

ffi.cdef "int clock_gettime(int clock, void *ret);"
local THREAD_CPUTIME = 3 -- value of Linux
local time = ffi.new "struct { long s, ns; }"
-- Resolve the symbol now: the dynamic linker does it under a lock, and a policy's call may be left at any
-- instruction.
local clock_gettime = ffi.C.clock_gettime

-- CPU time of this thread in seconds.
local function cpu_s()
  clock_gettime(THREAD_CPUTIME, time)
  return tonumber(time.s) + tonumber(time.ns) * 1e-9
end

local function line_at(text, stop)
  local line, at = 1, raw_find(text, "\n", 1, true)
  while at and at < stop do
    line, at = line + 1, raw_find(text, "\n", at + 1, true)
  end
  return line
end

-- The place of the first jump above the limit, by counting words; nil if there is none.
local function jump_too_many(text)
  local count = 0
  for _, word in ipairs { "goto", "break" } do
    local at, stop = raw_find(text, word, 1, true)
    while at do
      count = count + 1
      if count > JUMPS_MAX then
        return at
      end
      at, stop = raw_find(text, word, stop + 1, true)
    end
  end
  return nil
end

---load, for a text; bytecode is refused.
---@param text string
---@param name string   "@file" or "=name"; any other name becomes "load" in the error for the time limit
---@param env table
---@param time_s? number  CPU time that it may take, 0.04 if nil
---@return function|nil chunk
---@return string|nil error
function compiling.load(text, name, env, time_s)
  local len = raw_len(text)
  if len <= SHORT then
    return raw_load(text, name, "t", env)
  end
  local shown = raw_match(name, "^[@=](.*)$") or "load"
  local far = jump_too_many(text)
  if far then
    return nil, raw_format("%s:%d: the words goto and break stand here more than %d times", shown, line_at(text, far), JUMPS_MAX)
  end
  local at, stop_s, late = 1, cpu_s() + (time_s or TIME_MAX_S), false
  local chunk, complaint
  local function read()
    late = late or cpu_s() > stop_s
    if late or at > len then
      return nil
    end
    local from = at
    at = at + PIECE
    return raw_sub(text, from, at - 1)
  end
  -- The budget's hook may raise an error inside `read`. If C code catches that, as load does, LuaJIT believes that
  -- the hook is still running, and never calls it again. An error that ends an outer pcall resets that.
  raw_pcall(function()
    chunk, complaint = raw_load(read, name, "t", env)
    if not chunk then
      raw_error()
    end
  end)
  if late then
    return nil, raw_format("%s:%d: takes too long to compile: expected shorter chains of and, or, elseif and goto, and fewer"
      .. " locals in sight", shown, line_at(text, at))
  end
  return chunk, complaint
end

return compiling
