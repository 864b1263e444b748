-- Finds the known name that is most similar to a mistyped one, by the rules of engine/lib/base/nearest.c. It is a
-- second one because specs of policies run without the engine; tests/unit/lib/base/nearest.txt holds both.

local gsub = string.gsub

local nearest = {}

-- Two mistakes (a letter missing, doubled or wrong, or two letters swapped) are a typing error; three make another
-- word.
local FAR = 3
-- From this length on, the beginning of a name counts as one mistake.
local PREFIX_MIN = 3
-- The longest name, and the longest word, that is compared: comparing takes time in proportion to the length.
local MAX = 64

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

local function folded(text)
  return (gsub(text:lower(), "_", "-"))
end

---@param word any        what was written
---@param known string[]  the names there are
---@return string|nil     the closest, if one is close
function nearest.of(word, known)
  word = tostring(word)
  if #word > MAX then
    return nil
  end
  word = folded(word)
  local best, low = nil, FAR
  for i = 1, #known do
    local name = folded(known[i])
    local begins = #word >= PREFIX_MIN and #word < #name and name:sub(1, #word) == word
    local d = begins and 1 or #name <= MAX and distance(word, name) or FAR
    if d < low and d < #name then
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

---@param t table<string, any>
---@return string[]  its keys, sorted
function nearest.names_of(t)
  local names = {}
  for name in pairs(t) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

return nearest
