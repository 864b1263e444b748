-- Finds the known name that is most similar to a mistyped one.

local nearest = {}

-- Two mistakes (a letter missing, doubled or wrong, or two letters swapped) are a typing error; three make another
-- word.
local FAR = 3

-- The number of mistakes: Levenshtein's distance, where a swap of neighbours counts once.
local function distance(a, b)
  local before, row, next_row = {}, {}, {}
  for j = 0, #b do
    row[j] = j
  end
  for i = 1, #a do
    next_row[0] = i
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local d = math.min(row[j] + 1, next_row[j - 1] + 1, row[j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        d = math.min(d, before[j - 2] + 1)
      end
      next_row[j] = d
    end
    before, row, next_row = row, next_row, before
  end
  return row[#b]
end

---@param word any        what was written
---@param known string[]  the names there are
---@return string|nil     the closest, if one is close
function nearest.of(word, known)
  word = tostring(word)
  -- Known names are shorter, and the comparison takes time in proportion to the length.
  if #word > 64 then
    return nil
  end
  local best, low = nil, FAR
  for i = 1, #known do
    local d = distance(word:lower(), known[i]:lower())
    if d < low and d < #known[i] then
      best, low = known[i], d
    end
  end
  return best
end

---@param what string     whose names they are: "conn", "uplink"
---@param word any
---@param known string[]
---@return string         "conn has no field 'hots'; did you mean 'host'?"
function nearest.complaint(what, word, known)
  local text = ("%s has no field '%s'"):format(what, tostring(word))
  local close = nearest.of(word, known)
  if close then
    return ("%s; did you mean '%s'?"):format(text, close)
  end
  return text
end

return nearest
