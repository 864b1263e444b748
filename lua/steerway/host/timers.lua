-- The timers of ctx.every and ctx.after. The engine is told when the next timer is due, and runs timers one by one,
-- so that each has its own time budget.

local got = require "steerway.host.got"

local timers = {}

local huge, max = math.huge, math.max

local TIMERS_MAX = 1000
local EVERY_MIN, SECONDS_MAX = 0.01, 366 * 86400

local function check(name, seconds, min, fn)
  if type(seconds) ~= "number" or not (seconds >= min and seconds <= SECONDS_MAX) then
    local hint = type(seconds) ~= "number" and (": call it as ctx.%s(seconds, function() … end)"):format(name) or ""
    error(("ctx.%s: expected seconds from %g to %d, got %s%s"):format(name, min, SECONDS_MAX, got(seconds), hint), 3)
  end
  if type(fn) ~= "function" then
    error(("ctx.%s: expected a function, got %s"):format(name, type(fn)), 3)
  end
end

---@class steerway.Timers
---@field every fun(seconds: number, fn: fun()): fun()  returns what cancels it
---@field after fun(seconds: number, fn: fun()): fun()
---@field run fun()                run the earliest of those that are due, if there is one

---@param now fun(): number              monotonic seconds
---@param tell fun(due: number)          told when the earliest is due whenever that changes; math.huge for none
---@return steerway.Timers
function timers.new(now, tell)
  local list, count, told = {}, 0, huge

  local function earliest()
    local first
    for i = 1, count do
      local t = list[i]
      if not first or t.due < first.due then
        first = t
      end
    end
    return first
  end

  local function retell()
    local first = earliest()
    local due = first and first.due or huge
    if due ~= told then
      told = due
      tell(due)
    end
  end

  local function remove(timer)
    for i = 1, count do
      if list[i] == timer then
        table.remove(list, i) -- timers with the same time run in the order in which they were added
        count = count - 1
        return retell()
      end
    end
  end

  local function add(name, seconds, fn, interval)
    if count >= TIMERS_MAX then -- the error's level is the caller of every or after, which call this last
      error(("ctx.%s: %d timers are waiting already; more is taken for a mistake"):format(name, TIMERS_MAX), 2)
    end
    local timer = { due = now() + max(seconds, EVERY_MIN), fn = fn, interval = interval }
    count = count + 1
    list[count] = timer
    retell()
    return function()
      remove(timer)
    end
  end

  return {
    every = function(seconds, fn)
      check("every", seconds, EVERY_MIN, fn)
      return add("every", seconds, fn, seconds)
    end,

    -- A minimum delay, so that a timer that restarts itself leaves time for others.
    after = function(seconds, fn)
      check("after", seconds, 0, fn)
      return add("after", seconds, fn)
    end,

    run = function()
      local timer, time = earliest(), now()
      if not timer or timer.due > time then
        return
      end
      -- Before it is run, since it may never return.
      if timer.interval then
        timer.due = timer.due + timer.interval
        if timer.due <= time then -- it is late: one call replaces all that were missed
          timer.due = time + timer.interval
        end
        retell()
      else
        remove(timer)
      end
      timer.fn()
    end,
  }
end

return timers
