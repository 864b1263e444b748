-- Sets of domain names for ctx.domains: from a list in the policy's text, and in the test kit also from a file. The
-- engine reads files itself (engine/lib/sets/lists.h).
--
-- The names are in one buffer, and a hash table refers to them. The hash is a polynomial that can be computed
-- forwards, while the list is read, and backwards, while a host is matched. So one walk over the host, from its end,
-- computes the hash of each parent domain. A match allocates nothing, and the set lies in the policy's heap.

local bit = require "bit"
local ffi = require "ffi"
local lines = require "steerway.host.lines"
local listing = require "steerway.host.listing"

local domains = {}

local band, bor, bxor, lshift, rshift, tobit = bit.band, bit.bor, bit.bxor, bit.lshift, bit.rshift, bit.tobit

local byte = string.byte

local NEWLINE, DOT, DASH = ("\n.-"):byte(1, 3)
local NAME_MAX = 253 -- RFC 1035 2.3.4, in text form
local SIZE_MIN, BYTES_A_NAME = 64, 16 -- size of the hash table, and the estimate for a list
local ITSELF, BELOW = lines.ITSELF, lines.BELOW

-- Bits for what a byte may be part of, and its lower case: one table access replaces many comparisons.
local IN_NAME, IS_DOT, BLANK, END = 1, 2, 4, 8
local BETWEEN = BLANK + END
local class, lower = ffi.new "uint8_t[256]", ffi.new "uint8_t[256]"
for c = 0, 255 do
  local char = string.char(c)
  class[c] = (char:find "[%w_.%-]" and IN_NAME or 0) + (c == DOT and IS_DOT or 0)
    + (char:find "[ \t\r]" and BLANK or 0) + (c == NEWLINE and END or 0)
  lower[c] = char:lower():byte()
end

-- The host that is being matched, in lower case.
local asked = ffi.new("uint8_t[?]", NAME_MAX)

-- Names in a hash table with open addressing; each slot refers to a part of the buffer. Kind 0: the slot is free.
local function new_table(size)
  return {
    size = size, count = 0,
    hash = ffi.new("int32_t[?]", size), at = ffi.new("int32_t[?]", size),
    length = ffi.new("uint8_t[?]", size), kind = ffi.new("uint8_t[?]", size),
  }
end

local function slot_of(h, mask)
  h = bxor(h, rshift(h, 15))
  h = tobit(h + lshift(h, 10))
  return band(bxor(h, rshift(h, 7)), mask)
end

-- The slot of n bytes of `other` from `from` on, with hash h; or the free slot where they belong.
local function find(t, bytes, h, other, from, n)
  local mask, kind, hash, length = t.size - 1, t.kind, t.hash, t.length
  local slot = slot_of(h, mask)
  while kind[slot] ~= 0 do
    if hash[slot] == h and length[slot] == n then
      local at, i = t.at[slot], 0
      while i < n and bytes[at + i] == other[from + i] do
        i = i + 1
      end
      if i == n then
        return slot
      end
    end
    slot = band(slot + 1, mask)
  end
  return slot
end

local function grown(t)
  local bigger = new_table(t.size * 2)
  local mask = bigger.size - 1
  for old = 0, t.size - 1 do
    if t.kind[old] ~= 0 then
      local slot = slot_of(t.hash[old], mask)
      while bigger.kind[slot] ~= 0 do
        slot = band(slot + 1, mask)
      end
      bigger.hash[slot], bigger.at[slot] = t.hash[old], t.at[old]
      bigger.length[slot], bigger.kind[slot] = t.length[old], t.kind[old]
    end
  end
  bigger.count = t.count
  return bigger
end

local function matcher(t, bytes)
  local kind = t.kind

  local function holds(name)
    local n = #name
    if byte(name, n) == DOT then
      n = n - 1
    end
    if n < 1 or n > NAME_MAX then
      return false
    end
    local h, power = 0, 1
    for i = n - 1, 0, -1 do
      local c = lower[byte(name, i + 1)]
      asked[i] = c
      if c == DOT and band(kind[find(t, bytes, h, asked, i + 1, n - i - 1)], BELOW) ~= 0 then
        return true
      end
      h = tobit(h + c * power)
      power = tobit(lshift(power, 5) + power)
    end
    return band(kind[find(t, bytes, h, asked, 0, n)], ITSELF) ~= 0
  end

  return function(name)
    if string.find(name, "[\128-\255]") then
      name = lines.to_ascii(name)
    end
    return name ~= nil and holds(name)
  end
end

-- The same hash as in the walk below.
local function hash_of(name)
  local h = 0
  for i = 1, #name do
    h = tobit(tobit(lshift(h, 5) + h) + byte(name, i))
  end
  return h
end

---@param given string[]|{ file: string }
---@param read fun(path: string): string|nil, string|nil
---@param log? fun(level: string, text: string)
---@return fun(host: string): boolean match
---@return integer count
function domains.new(given, read, log)
  local list = listing.open("domains", given, read, log)
  local text = list.text
  local bytes, len = listing.buffer(text)
  local size = SIZE_MIN
  while size < 2 * len / BYTES_A_NAME do
    size = size * 2
  end
  local t = new_table(size)

  local function add(h, from, to, kind)
    if t.count * 2 >= t.size then
      t = grown(t)
    end
    local n = to - from
    local slot = find(t, bytes, h, bytes, from, n)
    if t.kind[slot] == 0 then
      t.count = t.count + 1
      t.hash[slot], t.at[slot], t.length[slot] = h, from, n
    end
    t.kind[slot] = bor(t.kind[slot], kind)
  end

  -- Names that need a conversion; added last, behind the others.
  local others, covers, room = {}, {}, 0
  local function note(name, what)
    others[#others + 1], covers[#covers + 1] = name, what
    room = room + #name
  end
  local function add_others()
    local longer = ffi.new("uint8_t[?]", len + room + 1)
    ffi.copy(longer, bytes, len)
    bytes = longer
    local at = len
    for i, name in ipairs(others) do
      ffi.copy(bytes + at, name, #name)
      add(hash_of(name), at, at + #name, covers[i])
      at = at + #name
    end
  end

  local at, line = 0, 0
  while at < len do
    line = line + 1
    local start, h, before, what, dots = at, 0, IS_DOT, IN_NAME, 0
    local c = bytes[at]
    local k = c == DASH and END or class[c] -- an item of YAML, or "---"
    while band(k, BETWEEN) == 0 do -- the only loop over an ordinary name
      c = lower[c]
      bytes[at] = c
      h = tobit(tobit(lshift(h, 5) + h) + c)
      what, dots, before = band(what, k), bor(dots, band(k, before)), k
      at = at + 1
      c = bytes[at]
      k = class[c]
    end
    local to = at
    if to > start and c == NEWLINE and what ~= 0 and band(bor(dots, before), IS_DOT) == 0 and to - start <= NAME_MAX then
      add(h, start, to, ITSELF + BELOW)
    else
      while bytes[at] ~= NEWLINE do
        at = at + 1
      end
      local row = string.sub(text, start + 1, at)
      local found = lines.names(row, note)
      if found == "unknown" or found == "empty" and not given.file then
        list.unknown(line, row, "a domain name such as example.com")
      end
    end
    at = at + 1
  end
  add_others()
  list.finish(t.count)
  return matcher(t, bytes), t.count
end

return domains
