-- Bounds for pattern matching. It runs in C, where the time budget cannot stop it. A text is refused if its pattern
-- could take more than a fiftieth of a second on it. That holds for malicious patterns and texts too.

local bounds = {}

local raw_type, raw_error, raw_pcall = type, error, pcall
local raw_tonumber, raw_tostring = tonumber, tostring
local raw_byte, raw_char, raw_find, raw_len, raw_sub = string.byte, string.char, string.find, string.len, string.sub
local floor, max, min = math.floor, math.max, math.min

-- Steps of the pattern matcher, each of a few ns. A host name of 255 bytes and a pattern with three repetitions stay
-- below.
local STEPS_MAX = 3e6
-- Longer texts do not fit into a policy's heap.
local LENGTH_MAX = 2 ^ 30
-- This many characters of a set, and of plain text, are compared in the time of a step.
local SET_STEP, PLAIN_STEP = 8, 32
-- Steps to compare one item of a pattern, and for a bracket of a capture, which is recorded each time it is passed.
-- STEPS_INCLUDED of them are part of each branch.
local ITEM_STEPS, BRACKET_STEPS, STEPS_INCLUDED = 0.5, 1.25, 1
-- Cache limits: patterns are few and short; patterns that are built for each call must not fill memory.
local CACHED_MAX, CACHED_LENGTH_MAX = 256, 256

local PERCENT, OPEN, CLOSE, BRACKET, UNBRACKET, CARET, DOLLAR = raw_byte("%()[]^$", 1, 7)
local LOWER_B, LOWER_F, ZERO, NINE = raw_byte("bf09", 1, 4)
local HOW = { [raw_byte "*"] = "*", [raw_byte "+"] = "+", [raw_byte "-"] = "-", [raw_byte "?"] = "?" }

-- The end of the set that begins at `at`: after its bracket.
local function after_set(pattern, at)
  at = at + 1
  if raw_byte(pattern, at) == CARET then
    at = at + 1
  end
  -- A bracket in first place is a character of the set.
  repeat
    local c = raw_byte(pattern, at)
    if not c then
      return at
    end
    at = at + (c == PERCENT and 2 or 1)
  until raw_byte(pattern, at) == UNBRACKET
  return at + 1
end

-- The end of the item that begins at `at`, and whether it matches a "run" of text, or "empty".
local function after_item(pattern, at)
  local c = raw_byte(pattern, at)
  if c == BRACKET then
    return after_set(pattern, at)
  elseif c ~= PERCENT then
    return at + 1
  end
  local class = raw_byte(pattern, at + 1) or 0
  if class == LOWER_B then
    return at + 4, "run"
  elseif class == LOWER_F then
    return after_set(pattern, at + 2), "empty"
  end
  return at + 2, class >= ZERO and class <= NINE and "run" or nil
end

-- The items of a pattern, without captures: { one = "[%w-]", how = "+" }. Also the most steps between two branches:
-- the items between two repetitions are compared each time.
local function items_of(pattern, at)
  local items, between, most = {}, 0, 0
  while at <= raw_len(pattern) do
    local c = raw_byte(pattern, at)
    if c == OPEN or c == CLOSE then
      between = between + BRACKET_STEPS
      at = at + 1
    elseif c == DOLLAR and at == raw_len(pattern) then
      items[#items + 1] = { kind = "end" }
      at = at + 1
    else
      local to, kind = after_item(pattern, at)
      local how = not kind and HOW[raw_byte(pattern, to)] or nil
      items[#items + 1] = { kind = kind, one = raw_sub(pattern, at, to - 1), how = how }
      between = ((how or kind == "run") and 0 or between) + ITEM_STEPS + (to - at) / SET_STEP
      at = to + (how and 1 or 0)
    end
    most = max(most, between)
  end
  return items, max(1, most - STEPS_INCLUDED)
end

local function share_a_character(one, other)
  one, other = "^" .. one .. "$", "^" .. other .. "$"
  for c = 0, 255 do
    local text = raw_char(c)
    if raw_find(text, one) and raw_find(text, other) then
      return true
    end
  end
  return false
end

-- A repetition has only one possible end if the next item cannot match its characters: "%d+%.", "%s*$".
local function has_one_end(item, after)
  if after.kind == "end" then
    return true
  elseif after.kind or after.how and after.how ~= "+" then
    return false
  end
  local ok, share = raw_pcall(share_a_character, item.one, after.one)
  return ok and not share
end

-- Counts the items of a pattern that may end anywhere in the text, and those that are optional, with the steps
-- between two of them.
local function count_choices(pattern, anchors)
  local places, options, one_end = 1, 0, 0 -- a match may begin anywhere
  local at = 1
  if anchors and raw_byte(pattern, 1) == CARET then
    places, at = 0, 2
  end
  local items, between = items_of(pattern, at)
  for i, item in ipairs(items) do
    local after = items[i + 1]
    if item.kind == "run" then
      places = places + 1
    elseif item.how and after then -- the last item cannot fail, so it is not retried
      if item.how == "?" then
        options = options + 1
      elseif has_one_end(item, after) then
        one_end = 1 -- one pass in each attempt
      else
        places = places + 1
      end
    end
  end
  return places + one_end, options, between
end

-- The number of ways to choose that many places in order, with or without the options.
local function steps(len, places, options, factor)
  local n = 2 ^ options * factor
  for i = 1, places do
    n = n * (len + i) / i
  end
  return n
end

-- The longest text that the pattern may be used on.
local function longest(pattern, anchors)
  local places, options, between = count_choices(pattern, anchors)
  local low, high = 0, LENGTH_MAX
  while low < high do
    local mid = floor((low + high + 1) / 2)
    if steps(mid, places, options, between) <= STEPS_MAX then
      low = mid
    else
      high = mid - 1
    end
  end
  return low
end

local function text_of(value)
  return raw_type(value) == "number" and raw_tostring(value) or value
end

---A matching function of the string library that refuses a text too long for its pattern.
---@param name string
---@param match function  string.find, match, gmatch or gsub
---@return function
function bounds.matching(name, match)
  local anchors = name ~= "gmatch" -- for which '^' is an ordinary character
  local limits, cached = {}, 0

  return function(subject, pattern, ...)
    subject, pattern = text_of(subject), text_of(pattern)
    if raw_type(subject) == "string" and raw_type(pattern) == "string" then
      local limit = limits[pattern]
      if not limit then
        limit = longest(pattern, anchors)
        if cached >= CACHED_MAX then
          limits, cached = {}, 0
        end
        if raw_len(pattern) <= CACHED_LENGTH_MAX then
          limits[pattern] = limit
          cached = cached + 1
        end
      end
      if raw_len(subject) > limit then
        raw_error(("string.%s: a text of %d bytes is too long for this pattern; it may be matched in more than %g ways")
          :format(name, raw_len(subject), STEPS_MAX), 2)
      end
    end
    return match(subject, pattern, ...)
  end
end

---string.find, which also searches plain text.
---@param find function
---@return function
function bounds.find(find)
  local by_pattern = bounds.matching("find", find)

  return function(subject, pattern, init, plain)
    if not plain then
      return by_pattern(subject, pattern, init)
    end
    subject, pattern = text_of(subject), text_of(pattern)
    if raw_type(subject) == "string" and raw_type(pattern) == "string"
      and steps(raw_len(subject), 1, 0, max(1, raw_len(pattern) / PLAIN_STEP)) > STEPS_MAX then
      raw_error(("string.find: a text of %d bytes is too long to look for %d bytes in it")
        :format(raw_len(subject), raw_len(pattern)), 2)
    end
    return find(subject, pattern, init, true)
  end
end

-- Limit in bytes for all replacements of a gsub, including %0 and the like, at every place where the pattern may
-- match.
local REPLACED_MAX = 5e6
-- Steps for each place where gsub replaces. They are for the place itself, a table's value, each capture in the
-- replacement, and a position capture, which is printed. In at most FEW_PLACES no replacement takes long.
local FEW_PLACES = 1000
local PLACE_STEPS, TABLE_STEPS, CAPTURED_STEPS, POSITION_STEPS = 2, 14, 12, 60

local function steps_of_replacement(pattern, with)
  if raw_type(with) == "table" then
    return PLACE_STEPS + TABLE_STEPS
  elseif raw_type(with) ~= "string" or not raw_find(with, "%", 1, true) then
    return PLACE_STEPS -- the time budget stops a function
  end
  local captures, at = 0, raw_find(with, "%", 1, true)
  while at and captures < 1000 do
    local c = raw_byte(with, at + 1) or ZERO
    captures = captures + (c > ZERO and c <= NINE and 1 or 0)
    at = raw_find(with, "%", at + 2, true)
  end
  return PLACE_STEPS + captures * (raw_find(pattern, "()", 1, true) and POSITION_STEPS or CAPTURED_STEPS)
end

---string.gsub
---@param gsub function
---@return function
function bounds.gsub(gsub)
  local by_pattern = bounds.matching("gsub", gsub)

  local function check(subject, pattern, with, n)
    local places = raw_len(subject) + 1
    local most = min(places, raw_tonumber(n) or places)
    if raw_type(with) == "string" and most * raw_len(with) > REPLACED_MAX then
      raw_error(("string.gsub: a replacement of %d bytes is too long for a text of %d bytes"):format(raw_len(with),
        places - 1), 3)
    elseif most > FEW_PLACES and most * steps_of_replacement(pattern, with) > STEPS_MAX then
      raw_error(("string.gsub: a text of %d bytes has too many places for this replacement"):format(places - 1), 3)
    end
  end

  return function(subject, pattern, with, n)
    local text, wanted = text_of(subject), text_of(pattern)
    if raw_type(text) == "string" and raw_type(wanted) == "string" then
      check(text, wanted, text_of(with), n)
    end
    if n == nil then
      return by_pattern(subject, pattern, with)
    end
    return by_pattern(subject, pattern, with, n)
  end
end

return bounds
