-- Sets of address ranges, for ctx.cidrs; domains.lua has sets of names. Ranges of both families are in one sorted and
-- merged list, with binary search.

local bit = require "bit"
local ffi = require "ffi"
local lines = require "steerway.host.lines"
local listing = require "steerway.host.listing"

local cidrs = {}

local band, bor, lshift = bit.band, bit.bor, bit.lshift
local byte, find, sub = string.byte, string.find, string.sub
local floor, max, min = math.floor, math.max, math.min

local DOT, SLASH, ZERO = ("./0"):byte(1, 3)
local TEXT_MAX = 64 -- also with a scope

local inet_pton = lines.inet_pton
local AF_INET, AF_INET6 = 2, 10 -- values of Linux

-- An address is three numbers, of 48, 48 and 32 bits, in arrays of doubles. An IPv4 address is stored as its mapped
-- IPv6 address (RFC 4291 2.5.5.2). Structs would allocate a reference at each access in interpreted code.
local ips_t = ffi.typeof "double[?]"
local bytes = ffi.new "uint8_t[16]"
local asked = ips_t(3)

-- Whether entry i of x is less than entry j of y.
local function before(x, i, y, j)
  i, j = i * 3, j * 3
  if x[i] ~= y[j] then
    return x[i] < y[j]
  elseif x[i + 1] ~= y[j + 1] then
    return x[i + 1] < y[j + 1]
  end
  return x[i + 2] < y[j + 2]
end

local function put(x, i, a, b, c)
  i = i * 3
  x[i], x[i + 1], x[i + 2] = a, b, c
end

local function copy(x, i, y, j)
  j = j * 3
  put(x, i, y[j], y[j + 1], y[j + 2])
end

local function put4(x, i, number)
  put(x, i, 0, 0xffff, number)
end

-- Six bytes from `at` on, as a number.
local function number48(at)
  local n = 0
  for i = at, at + 5 do
    n = n * 256 + bytes[i]
  end
  return n
end

local function put_bytes(x, i)
  put(x, i, number48(0), number48(6), ((bytes[12] * 256 + bytes[13]) * 256 + bytes[14]) * 256 + bytes[15])
end

-- Parse into bytes. Returns the number of bits of the address family, or nil for other text.
local function parse(text)
  if inet_pton(AF_INET, text, bytes + 12) == 1 then
    for i = 0, 9 do
      bytes[i] = 0
    end
    bytes[10], bytes[11] = 255, 255
    return 32
  elseif inet_pton(AF_INET6, text, bytes) == 1 then
    return 128
  end
  return nil
end

-- Narrow bytes to the first (or, with ones, the last) address of the prefix.
local function fill(bits, ones)
  for i = 0, 15 do
    local keep = max(0, min(8, bits - i * 8))
    local mask = band(lshift(255, 8 - keep), 255)
    bytes[i] = ones and bor(band(bytes[i], mask), 255 - mask) or band(bytes[i], mask)
  end
end

-- Parse "10.0.0.0/8" from a buffer without allocating: returns its number and prefix length, or nil.
local function parse4(text)
  local ip, part, digits, parts, bits = 0, 0, 0, 0, nil
  for i = 1, #text do
    local c = byte(text, i)
    local digit = c - ZERO
    if digit >= 0 and digit <= 9 then
      part, digits = part * 10 + digit, digits + 1
      if digits > 3 or digits > 1 and part < 10 and not bits then -- 010 might be octal, so it is refused
        return nil
      end
    elseif digits == 0 or part > 255 or bits or not (c == DOT and parts < 3 or c == SLASH and parts == 3) then
      return nil
    else
      ip, part, digits, parts = ip * 256 + part, 0, 0, parts + 1
      bits = c == SLASH and 32 or nil
    end
  end
  if digits == 0 or parts < 3 then
    return nil
  elseif bits then
    return ip, part <= 32 and part or nil
  end
  return part <= 255 and parts == 3 and ip * 256 + part or nil, 32
end

-- Sort by first address, and merge ranges that overlap or touch. Returns the number that is left.
local function normalise(low, high, n)
  local order, spare = ffi.new("int32_t[?]", n), ffi.new("int32_t[?]", n)
  for i = 0, n - 1 do
    order[i] = i
  end
  local width = 1
  while width < n do
    for start = 0, n - 1, 2 * width do
      local i, j = start, start + width
      local i_end, j_end = min(start + width, n), min(start + 2 * width, n)
      for k = start, j_end - 1 do
        if i < i_end and (j >= j_end or not before(low, order[j], low, order[i])) then
          spare[k], i = order[i], i + 1
        else
          spare[k], j = order[j], j + 1
        end
      end
    end
    order, spare, width = spare, order, width * 2
  end
  local to_low, to_high, m = ips_t(3 * max(n, 1)), ips_t(3 * max(n, 1)), 0
  for k = 0, n - 1 do
    local i = order[k]
    if m > 0 and not before(to_high, m - 1, low, i) then
      if before(to_high, m - 1, high, i) then
        copy(to_high, m - 1, high, i)
      end
    else
      copy(to_low, m, low, i)
      copy(to_high, m, high, i)
      m = m + 1
    end
  end
  return to_low, to_high, m
end

-- Parse "2001:db8::/32" and the like; nil if it is not a range.
local function parse_any(text, low, high, i)
  local address, slash, prefix = text:match "^([^/]+)(/?)(%d*)$"
  local width = address and parse(address)
  local bits = slash == "/" and tonumber(prefix) or slash == "" and width
  if not width or not bits or bits > width or #prefix > 3 then
    return nil
  end
  fill(bits + 128 - width, false)
  put_bytes(low, i)
  fill(bits + 128 - width, true)
  put_bytes(high, i)
  return true
end

-- Parse an address of a client or destination, also "[::1]" and "fe80::1%eth0", into `asked`.
local function read_address(text)
  if #text > TEXT_MAX then
    return false
  end
  local ip, bits = parse4(text)
  if ip and bits == 32 then
    put4(asked, 0, ip)
    return true
  elseif not parse(text) then
    local bare = text:match "^%[(.*)%]$" or text
    bare = bare:match "^([^%%]+)%%" or bare
    if bare == text or not parse(bare) then
      return false
    end
  end
  put_bytes(asked, 0)
  return true
end

---@param given string[]|{ file: string }
---@param read fun(path: string): string|nil, string|nil
---@param log? fun(level: string, text: string)
---@return fun(address: string): boolean match
---@return integer count
function cidrs.new(given, read, log)
  local list = listing.open("cidrs", given, read, log)
  local text = list.text
  local room = 64
  local low, high, n = ips_t(3 * room), ips_t(3 * room), 0

  local function make_room()
    local more_low, more_high = ips_t(3 * room * 2), ips_t(3 * room * 2)
    ffi.copy(more_low, low, ffi.sizeof(low))
    ffi.copy(more_high, high, ffi.sizeof(high))
    low, high, room = more_low, more_high, room * 2
  end

  -- Returns whether it is a range. Most are plain IPv4.
  local function add(range)
    if n == room then
      make_room()
    end
    local ip, bits = parse4(range)
    if ip and bits then
      local size = 2 ^ (32 - bits)
      local first = ip - ip % size
      put4(low, n, first)
      put4(high, n, first + size - 1)
    elseif not parse_any(range, low, high, n) then
      return false
    end
    n = n + 1
    return true
  end

  local at, line = 1, 0
  while at <= #text do
    local stop = find(text, "\n", at, true) or #text + 1
    local row = sub(text, at, stop - 1)
    line = line + 1
    if not add(row) then
      local range, known = lines.range(row)
      if range and not add(range) or not known or not range and not given.file then
        list.unknown(line, row, "an address or a range such as 10.0.0.0/8 or 2001:db8::/32")
      end
    end
    at = stop + 1
  end

  local count
  low, high, count = normalise(low, high, n)
  list.finish(count)

  return function(address)
    if count == 0 or not read_address(address) then
      return false
    end
    local from, to = 0, count -- invariant: the last range that begins at or before it is in [from, to)
    while to - from > 1 do
      local mid = floor((from + to) / 2)
      if before(asked, 0, low, mid) then
        to = mid
      else
        from = mid
      end
    end
    return not before(asked, 0, low, from) and not before(high, from, asked, 0)
  end, count
end

return cidrs
