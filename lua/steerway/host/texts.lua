-- Functions of the string library, and others with text arguments, in forms that end soon for any argument.
-- bounds.lua has the patterns.
--
-- In the engine no text is larger than 8 MiB (engine/core/policy/vm.c). A function that takes more than a few ns for
-- each byte has a lower limit.

local texts = {}

local raw_date, raw_difftime, raw_time = os.date, os.difftime, os.time
local raw_error, raw_select, raw_tonumber, raw_tostring, raw_type = error, select, tonumber, tostring, type
local raw_rawget, raw_unpack = rawget, unpack
local raw_format, raw_len, raw_rep = string.format, string.len, string.rep
local floor = math.floor

-- Copied, or changed byte by byte, in 5 ms.
local TEXT_MAX, CHANGED_MAX = 2 ^ 23, 2 ^ 22
-- C loops over each byte of a repeated text, while `..` copies; C is used for smaller texts.
local REPEATED_IN_C = 2 ^ 18
-- string.format: %q takes four times as long for each byte, and writes up to four bytes; %.99f takes 3 us.
local FORMATTED_MAX, FORMAT_MAX, VALUES_MAX = 2 ^ 21, 2 ^ 16, 1000
-- A text as a number, among many arguments.
local NUMBER_MAX = 100
-- Each %c takes 0.3 us.
local DATE_MAX = 512

local function too_long(name, len, max)
  raw_error(raw_format("%s: a text of %.0f bytes is too long; expected at most %.0f", name, len, max), 3)
end

local function length(value)
  local kind = raw_type(value)
  return kind == "string" and raw_len(value) or kind == "number" and raw_len(raw_tostring(value)) or nil
end

---Wraps a function of one text that reads each byte.
---@param name string
---@param f function  string.lower, upper or reverse
---@return function
function texts.linear(name, f)
  return function(text)
    local len = length(text)
    if len and len > CHANGED_MAX then
      too_long(name, len, CHANGED_MAX)
    end
    return f(text)
  end
end

local function check_numbers(name, ...)
  local values = { ... }
  for i = 1, raw_select("#", ...) do
    local value = values[i]
    if raw_type(value) == "string" and raw_len(value) > NUMBER_MAX then
      raw_error(raw_format("%s: a text of %.0f bytes is too long for a number; expected at most %d", name, raw_len(value),
        NUMBER_MAX), 3)
    end
  end
end

---Wraps a function of any number of numbers. C accepts texts as numbers, and reads each of their bytes. That is
---harmless for two texts, but not for thousands.
---@param name string
---@param f function  math.max, bit.band, string.char and the like
---@return function
function texts.numbers(name, f)
  return function(...)
    local n = raw_select("#", ...)
    if n > 2 then
      local a, b, c, d = ...
      if n > 4 or raw_type(a) == "string" or raw_type(b) == "string" or raw_type(c) == "string" or raw_type(d) == "string" then
        check_numbers(name, ...)
      end
    end
    return f(...)
  end
end

-- The text n times, by doubling copies.
local function doubled(text, n)
  if n <= 1 then
    return n == 1 and text or ""
  end
  local half = doubled(text, floor(n / 2))
  if n % 2 == 1 then
    return half .. half .. text
  end
  return half .. half
end

---string.rep
function texts.rep(text, n, between)
  local len, times = length(text), raw_tonumber(n)
  local gap = between == nil and 0 or length(between)
  if not len or not gap or not times or times < 2 then
    return raw_rep(text, n, between)
  end
  local total = len * times + gap * (times - 1)
  if total > TEXT_MAX or total ~= total then
    too_long("string.rep", total, TEXT_MAX)
  elseif total <= REPEATED_IN_C then
    return raw_rep(text, n, between)
  end
  return doubled(text .. (between or ""), floor(times) - 1) .. text
end

-- Convert tables here: C would call their __tostring.
local function with_text(format, n, ...)
  local values = { ... }
  for i = 1, n do
    if raw_type(values[i]) == "table" then
      values[i] = raw_tostring(values[i])
      if not length(values[i]) then
        raw_error("string.format: a __tostring returned a " .. raw_type(values[i]) .. "; expected a string", 3)
      end
    end
  end
  return texts.format(format, raw_unpack(values, 1, n))
end

---string.format
function texts.format(format, ...)
  local n, total = raw_select("#", ...), 0
  if n > VALUES_MAX then
    raw_error(raw_format("string.format: %d values are too many; expected at most %d", n, VALUES_MAX), 2)
  elseif raw_type(format) == "string" and raw_len(format) > FORMAT_MAX then
    too_long("string.format", raw_len(format), FORMAT_MAX)
  end
  for i = 1, n do
    local value = raw_select(i, ...)
    local kind = raw_type(value)
    if kind == "string" then
      total = total + raw_len(value)
    elseif kind == "table" then
      return with_text(format, n, ...)
    end
  end
  if total > FORMATTED_MAX then
    too_long("string.format", total, FORMATTED_MAX)
  end
  return raw_format(format, ...)
end

-- C would look these up through a metatable's __index, and convert texts to numbers, in one step that cannot be
-- stopped.
local DATE_FIELDS = { "year", "month", "day", "hour", "min", "sec" }

---os.time and os.date with the host's clock, so that a policy can be tested at any hour.
---@param wall fun(): number
---@return table<string, function>
function texts.os(wall)
  return {
    clock = os.clock,
    difftime = raw_difftime,
    time = function(fields)
      if fields == nil then
        return floor(wall())
      elseif raw_type(fields) ~= "table" then
        return raw_time(fields)
      end
      local plain = { isdst = raw_rawget(fields, "isdst") }
      for i = 1, #DATE_FIELDS do
        plain[DATE_FIELDS[i]] = raw_tonumber(raw_rawget(fields, DATE_FIELDS[i]))
      end
      return raw_time(plain)
    end,
    date = function(format, time)
      local len = length(format)
      if len and len > DATE_MAX then
        too_long("os.date", len, DATE_MAX)
      end
      return raw_date(format == nil and "%c" or format, time == nil and floor(wall()) or time)
    end,
  }
end

return texts
