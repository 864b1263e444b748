-- Parses one line of a list, in the common formats; docs/policies.md has their table. For lists in a policy's text,
-- and for the test kit. engine/lib/sets/list_line.c does the same for the engine's files; both pass one table of test
-- cases.

local ffi = require "ffi"

local lines = {}

local find, gmatch, lower, match, sub = string.find, string.gmatch, string.lower, string.match, string.sub

local NAME_MAX = 253 -- RFC 1035 2.3.4, in text form
local LINE_MAX = 65536 -- pattern matching cannot be stopped
-- What a listed name stands for; the values are added.
local ITSELF, BELOW = 1, 2
local ALL = ITSELF + BELOW
lines.ITSELF, lines.BELOW = ITSELF, BELOW

ffi.cdef [[
int inet_pton(int af, const char *src, void *dst);
int idn2_lookup_u8(const uint8_t *src, uint8_t **lookupname, int flags);
void idn2_free(void *ptr);
]]
local AF_INET, AF_INET6 = 2, 10 -- values of Linux
-- Resolve the symbol now: the dynamic linker does it under a lock, and a policy's call may be left at any
-- instruction.
local inet_pton = ffi.C.inet_pton
lines.inet_pton = inet_pton
local IDN2_NFC_INPUT, IDN2_NONTRANSITIONAL, IDN2_OK = 1, 8, 0

local idn2

-- Stands in for the engine's service ascii: the name in A-labels, or nil.
local function to_ascii(name)
  if not idn2 then
    local ok, loaded = pcall(ffi.load, "libidn2.so.0")
    if not ok then
      error("names outside of ASCII need libidn2 (Debian's package libidn2-0): " .. tostring(loaded), 0)
    end
    idn2 = loaded
  end
  local out = ffi.new "uint8_t *[1]"
  if #name > 4 * NAME_MAX or find(name, "%z")
    or idn2.idn2_lookup_u8(ffi.cast("const uint8_t *", name), out, IDN2_NFC_INPUT + IDN2_NONTRANSITIONAL) ~= IDN2_OK then
    return nil
  end
  local ascii = ffi.string(out[0])
  idn2.idn2_free(out[0])
  return ascii
end

---The engine converts names itself.
---@param f fun(name: string): string|nil
function lines.use(f)
  to_ascii = f
end

---@param name string  in UTF-8
---@return string|nil  in A-labels
function lines.to_ascii(name)
  return to_ascii(name)
end

---@param text string
---@return string|nil name  in lower case and ASCII, without a final dot; nil if it is not a name
function lines.name(text)
  if find(text, "[\128-\255]") then
    text = to_ascii(text)
    if not text then
      return nil
    end
  end
  local name = lower(match(text, "^(.-)%.?$"))
  if name == "" or #name > NAME_MAX or find(name, "[^a-z0-9_.-]") or find(name, "^%.") or find(name, "..", 1, true)
    or find(name, "%.$") then
    return nil
  end
  return name
end

local scratch = ffi.new "uint8_t[16]"

local function is_address(word)
  local bare = match(word, "^[^%%]+")
  return bare and not find(bare, "%z")
    and (inet_pton(AF_INET, bare, scratch) == 1 or inet_pton(AF_INET6, bare, scratch) == 1) or false
end

local BLANK = "[ \t\r\n]"
local QUIET = { ["payload:"] = true, ["---"] = true, [""] = true }

local function trimmed(s)
  return match(s, "^[ \t\r\n]*(.*[^ \t\r\n])") or ""
end

-- The line without its comment; for an item of YAML, without dash and quotes.
local function content(line)
  local s = trimmed(line)
  local at = 1
  while true do
    local from, to = find(s, BLANK .. "[#;/]", at)
    if not from then
      break
    elseif sub(s, to, to) ~= "/" or sub(s, to + 1, to + 1) == "/" then
      s = trimmed(sub(s, 1, from))
      break
    end
    at = to
  end
  if sub(s, 1, 2) ~= "- " then
    return s, false
  end
  s = trimmed(sub(s, 3))
  return trimmed(match(s, "^'(.*)'$") or match(s, '^"(.*)"$') or s), true
end

local function says_nothing(s)
  return QUIET[s] or find(s, "^[#;!]") or find(s, "^//") or find(s, "^%[Adblock")
end

local RULES_OF_NAMES = { ["domain-suffix"] = ALL, ["host-suffix"] = ALL, domain = ITSELF, host = ITSELF }
local RULES_OF_RANGES = { ["ip-cidr"] = true, ["ip-cidr6"] = true, ["ip6-cidr"] = true }

-- "RULE,value,…"
local function rule_of(s)
  local rule, value = match(s, "^([^,]*),([^,]*)")
  return rule and lower(rule), value and trimmed(value)
end

local ADBLOCK_ENDS = { ["^"] = true, ["^|"] = true, ["^$important"] = true, ["^$all"] = true, ["^$document"] = true }
local DNSMASQ = { server = true, address = true, ["local"] = true, ipset = true, nftset = true }
local PREFIXES = { { "=", ITSELF }, { "+.", ALL }, { "*.", BELOW }, { ".", BELOW }, { "full:", ITSELF }, { "domain:", ALL } }

---@alias steerway.LineFound "empty"|"taken"|"unknown"

---If a line has several names, the valid ones are taken, even if another makes the line count as unknown. A line of
---more than 64 KiB is unknown.
---@param line string
---@param add fun(name: string, covers: integer)
---@return steerway.LineFound
function lines.names(line, add)
  if #line > LINE_MAX then
    return "unknown"
  end
  local s, yaml = content(line)
  local function take(text, covers)
    local name = lines.name(text)
    if name then
      add(name, covers)
    end
    return name and "taken" or "unknown"
  end
  if says_nothing(s) then
    return "empty"
  elseif sub(s, 1, 2) == "||" then
    local name, ending = match(s, "^||([^^]*)(.*)$")
    return ADBLOCK_ENDS[lower(ending)] and take(name, ALL) or "unknown"
  end
  local option, rest = match(s, "^(%l+)=/(.*)$")
  if option and DNSMASQ[option] then
    local found = "unknown"
    for name in gmatch(rest, "([^/]*)/") do
      found = take(match(name, "^%.?(.*)$"), ALL)
      if found == "unknown" then
        return found
      end
    end
    return found
  end
  local rule, value = rule_of(s)
  if rule then
    return RULES_OF_NAMES[rule] and take(value, RULES_OF_NAMES[rule]) or RULES_OF_RANGES[rule] and "empty" or "unknown"
  end
  local word, more = match(s, "^([^ \t\r\n]+)[ \t\r\n]+(.*)$")
  if not word then
    for _, prefix in ipairs(PREFIXES) do
      if sub(s, 1, #prefix[1]) == prefix[1] then
        return take(sub(s, #prefix[1] + 1), prefix[2])
      end
    end
    return take(s, yaml and ITSELF or ALL)
  elseif not is_address(word) then
    return "unknown"
  end
  local found = "taken"
  for name in gmatch(more, "[^ \t\r\n]+") do
    if not is_address(name) and take(name, ITSELF) == "unknown" then
      found = "unknown"
    end
  end
  return found
end

---@param line string
---@return string|nil range  as written, not checked yet; nil for a line without a range
---@return boolean known     false for a line of another kind
function lines.range(line)
  if #line > LINE_MAX then
    return nil, false
  end
  local s = content(line)
  if says_nothing(s) then
    return nil, true
  end
  local rule, value = rule_of(s)
  if rule then
    return RULES_OF_RANGES[rule] and value or nil, RULES_OF_RANGES[rule] or RULES_OF_NAMES[rule] ~= nil
  end
  return s, true
end

return lines
