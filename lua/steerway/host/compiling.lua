-- Texts are handed to LuaJIT's parser by pieces, since parsing cannot be stopped amid a text and may take quadratic time: a
-- chain of `and`, `or` or `elseif` is walked for each of its links, pending gotos for each label, all visible locals for each
-- name, and a constructor's keys may collide. Between two pieces the time budget stops it, or we do, which can name the line.
--
-- One step alone takes quadratic time by itself: where a label stands, or a loop ends, the jumps to it are chained one by one,
-- each behind all others. So a text may have 2000 of these, which takes 10 ms.

local ffi = require "ffi"

local compiling = {}

local raw_error, raw_load, raw_pcall = error, load, pcall
local raw_find, raw_format, raw_len, raw_match, raw_sub = string.find, string.format, string.len, string.match, string.sub

-- Beyond it no text is of a person's making.
compiling.TEXT_MAX = 2 ^ 20
-- So few that no more than some 0.1 ms go by until the next look at the clock, in time to stop at.
local PIECE = 256
-- What is shorter is parsed at once, in 2 ms at the very worst.
local SHORT = 4096
local JUMPS_MAX = 2000
-- Of the 50 ms that a call has.
local TIME_MAX_S = 0.04

ffi.cdef "int clock_gettime(int clock, void *ret);"
local THREAD_CPUTIME = 3 -- as Linux has it
local time = ffi.new "struct { long s, ns; }"
-- Looked up now: the dynamic linker does so under a lock, and a policy's call may be left at any instruction.
local clock_gettime = ffi.C.clock_gettime

-- CPU time of this thread, s.
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

-- Where the text has one jump too many, by its words; nil if it has not.
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

---load, of a text. It is never bytecode.
---@param text string
---@param name string   "@file" or "=name"; anything else is called "load" where the time is up
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
  -- The hook by which the budget stops a call may raise in `read`. Where C catches that, as load does, LuaJIT takes the hook to
  -- be running from then on, and never calls it again. An error that ends a pcall from before resets that.
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
