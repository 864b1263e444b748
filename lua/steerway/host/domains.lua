-- Sets of domain names: ctx.domains.
--
-- The names stay in one buffer, and a hash table refers to them. The hash is a polynomial, which can be reckoned forwards while
-- the list is read and backwards while a host is matched: so one walk over the host, from its end, meets each of its parent
-- domains on the way. Nothing is allocated by a match, and the memory is that of the policy's heap.

local bit = require "bit"
local ffi = require "ffi"
local listing = require "steerway.host.listing"

local domains = {}

local band, bor, bxor, lshift, rshift, tobit = bit.band, bit.bor, bit.bxor, bit.lshift, bit.rshift, bit.tobit

local byte = string.byte

local NEWLINE, HASH, STAR, DOT, EQUALS = ("\n#*.="):byte(1, 5)
local NAME_MAX = 253 -- RFC 1035 2.3.4, as text
local SIZE_MIN, OCTETS_A_NAME = 64, 16 -- of the hash table, and what a list is guessed by
-- What a name in the list stands for, added up.
local ITSELF, BELOW = 1, 2

-- What an octet may be part of, as bits, and itself in lower case: one look instead of many comparisons.
local IN_NAME, IN_ADDRESS, IS_DOT, BLANK, END = 1, 2, 4, 8, 16
local BETWEEN = BLANK + END
local class, lower = ffi.new "uint8_t[256]", ffi.new "uint8_t[256]"
for c = 0, 255 do
  local char = string.char(c)
  class[c] = (char:find "[%w_.%-\128-\255]" and IN_NAME or 0) + (char:find "[%d.:]" and IN_ADDRESS or 0)
    + (c == DOT and IS_DOT or 0) + (char:find "[ \t\r]" and BLANK or 0) + (c == NEWLINE and END or 0)
  lower[c] = char:lower():byte()
end

-- The host that is being matched, in lower case.
local asked = ffi.new("uint8_t[?]", NAME_MAX)

-- Names in a hash table with open addressing; each slot refers to a piece of the buffer. A kind of 0: the slot is free.
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

-- The slot of the n octets of `other` from `from` on, of which the hash is h, or else the free one where they would stand.
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

  return function(name)
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
end

-- What precedes a name says what it stands for: "=example.com", ".example.com", "*.example.com".
local function meaning(bytes, from, to)
  if bytes[from] == EQUALS then
    return from + 1, ITSELF
  end
  if bytes[from] == STAR and from + 1 < to and bytes[from + 1] == DOT then
    from = from + 1
  end
  if bytes[from] == DOT then
    return from + 1, BELOW
  end
  return from, ITSELF + BELOW
end

-- For a name that is not simply a word of the list: the hash, or nil for what is no name.
local function check(bytes, from, to)
  local h, before, what = 0, IS_DOT, IN_NAME
  for i = from, to - 1 do
    local k = class[bytes[i]]
    if band(k, before, IS_DOT) ~= 0 then
      return nil
    end
    h, before, what = tobit(tobit(lshift(h, 5) + h) + bytes[i]), k, band(what, k)
  end
  return what ~= 0 and to > from and to - from <= NAME_MAX and band(before, IS_DOT) == 0 and h or nil
end

---@param given string[]|{ file: string }
---@param read fun(path: string): string|nil, string|nil
---@return fun(host: string): boolean match
---@return integer count
function domains.new(given, read)
  local text, place = listing.text("domains", given, read)
  local bytes, len = listing.buffer(text)
  local size = SIZE_MIN
  while size < 2 * len / OCTETS_A_NAME do
    size = size * 2
  end
  local t = new_table(size)
  local line, hosts_line = 1, 0 -- the last line that is as in the file hosts: "0.0.0.0 name"

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

  local function add_unusual(from, to)
    local first, kind = meaning(bytes, from, to)
    local last = bytes[to - 1] == DOT and to - 1 or to
    local h = check(bytes, first, last)
    if not h then
      listing.refuse("domains", "%s: expected a domain name such as example.com, got %s", place(line),
        listing.shown(bytes, from, to))
    end
    add(h, first, last, kind)
  end

  -- Of several words in a line: an address is passed over, and opens a line as in the file hosts.
  local function passed_over(from, to)
    local what = IN_ADDRESS
    for i = from, to - 1 do
      what = band(what, class[bytes[i]])
    end
    if what ~= 0 then
      hosts_line = line
    elseif line ~= hosts_line then
      listing.refuse("domains", "%s: expected one name a line, got more behind %s", place(line),
        listing.shown(bytes, from, to))
    end
    return what ~= 0
  end

  local at = 0
  while at < len do
    local c = bytes[at]
    if c == NEWLINE then
      line, at = line + 1, at + 1
    elseif c == HASH then
      repeat
        at = at + 1
      until bytes[at] == NEWLINE
    elseif band(class[c], BLANK) ~= 0 then
      at = at + 1
    else
      local from, h, before, what, dots = at, 0, IS_DOT, IN_NAME, 0
      local k = class[c]
      repeat -- the one walk over an ordinary name
        c = lower[c]
        bytes[at] = c
        h = tobit(tobit(lshift(h, 5) + h) + c)
        what, dots, before = band(what, k), bor(dots, band(k, before)), k
        at = at + 1
        c = bytes[at]
        k = class[c]
      until band(k, BETWEEN) ~= 0
      local to = at
      local ordinary = what ~= 0 and band(bor(dots, before), IS_DOT) == 0 and to - from <= NAME_MAX
      while band(k, BLANK) ~= 0 do
        at = at + 1
        c = bytes[at]
        k = class[c]
      end
      if c == NEWLINE and ordinary then
        add(h, from, to, ITSELF + BELOW)
      elseif c == NEWLINE or c == HASH or not passed_over(from, to) then
        add_unusual(from, to)
      end
    end
  end
  return matcher(t, bytes), t.count
end

return domains
