-- Times of the day and days of the week: local hours = require "steerway.hours".

local hours = {}

local DAYS = { sun = 1, mon = 2, tue = 3, wed = 4, thu = 5, fri = 6, sat = 7 } -- values of os.date("*t").wday

local function minutes_of(text)
  local h, m = text:match "^(%d%d?):(%d%d)$"
  h, m = tonumber(h), tonumber(m)
  if not h or m > 59 or h > 24 or h == 24 and m > 0 then
    return nil
  end
  return h * 60 + m
end

-- A set of weekdays: "mon-fri", "sat,sun", "fri-mon".
local function days_of(text)
  local set = {}
  for part in text:lower():gmatch "[^,]+" do
    local from, to = part:match "^%s*(%a+)%s*%-%s*(%a+)%s*$"
    if not from then
      from = part:match "^%s*(%a+)%s*$"
      to = from
    end
    if not from or not DAYS[from] or not DAYS[to] then
      return nil
    end
    local day = DAYS[from]
    set[day] = true
    while day ~= DAYS[to] do
      day = day % 7 + 1
      set[day] = true
    end
  end
  return next(set) and set
end

---A function that returns whether the time is in the span on such a day, by local time. A span that passes midnight
---belongs to the day on which it begins.
---@param span string|nil  "22:00-06:00"; nil for the whole day
---@param days string|nil  "mon-fri", "sat,sun"; nil for all
---@param clock? fun(): number  seconds since 1970, as ctx.time; os.time if nil
---@return fun(): boolean
function hours.within(span, days, clock)
  clock = clock or os.time
  local from, to = 0, 24 * 60
  if span ~= nil then
    local first, last = tostring(span):match "^%s*(%S+)%s*%-%s*(%S+)%s*$"
    from, to = minutes_of(first or ""), minutes_of(last or "")
    if not from or not to or from == to then
      error(("hours: expected hours such as 22:00-06:00, got '%s'"):format(tostring(span)), 2)
    end
  end
  local set = days ~= nil and days_of(tostring(days)) or nil
  if days ~= nil and not set then
    error(("hours: expected days such as mon-fri or sat,sun, got '%s'"):format(tostring(days)), 2)
  end
  local until_s, answer = -math.huge, false -- the answer is cached until the minute ends

  return function()
    local now = clock()
    if now < until_s and now >= until_s - 60 then
      return answer
    end
    local t = os.date("*t", math.floor(now))
    until_s = math.floor(now) - t.sec + 60
    local minute, day = t.hour * 60 + t.min, t.wday
    if from < to then
      answer = minute >= from and minute < to
    else
      answer = minute >= from or minute < to
      if minute < to then -- the span began yesterday
        day = (day + 5) % 7 + 1
      end
    end
    answer = answer and (not set or set[day] == true)
    return answer
  end
end

return hours
