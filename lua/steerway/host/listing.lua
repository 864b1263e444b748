-- Lists of names or addresses from policies: a table of texts, or a file with one item a line. In a table, which is
-- the policy's own text, a mistake is an error. In a file, which others make, unknown lines are counted and skipped.

local ffi = require "ffi"

local listing = {}

local floor = math.floor

-- Raises an error without the place in the host's code.
local function refuse(what, fmt, ...)
  error(("ctx.%s: "):format(what) .. fmt:format(...), 0)
end
listing.refuse = refuse

local function check_items(what, given)
  for i = 1, #given do
    local item = given[i]
    if type(item) ~= "string" or not item:find "^[^%s#]+$" then
      refuse(what, "item %d: expected a text without blanks, got %s", i,
        type(item) == "string" and ("%q"):format(item) or type(item))
    end
  end
  for key in pairs(given) do
    if type(key) ~= "number" or key < 1 or key > #given or key ~= floor(key) then
      refuse(what, "expected a list of texts or { file = … }, got a key '%s'", tostring(key))
    end
  end
end

---Check the table that a policy gives.
---@param what string   the function of ctx, for complaints
---@param given any     string[]|{ file: string }
---@return string|nil file  its path, or nil when the items are in the table
function listing.check(what, given)
  if type(given) ~= "table" then
    refuse(what, "expected a list of texts or { file = … }, got %s", type(given))
  elseif getmetatable(given) == false then
    refuse(what, "expected a list of texts or { file = … }, got %s", "a set or another object of ctx")
  elseif given.file == nil then
    check_items(what, given)
  elseif type(given.file) ~= "string" then
    refuse(what, "file: expected a path, got %s", type(given.file))
  end
  return given.file
end

local BOM = "\239\187\191"

---@class steerway.Listed
---@field text string                   one item a line
---@field unknown fun(line: integer, text: string, expected: string)  to be called for a line that is not understood
---@field finish fun(count: integer)    to be called when all lines are read

---@param what string
---@param given any     string[]|{ file: string }
---@param read fun(path: string): string|nil, string|nil
---@param log? fun(level: string, text: string)
---@return steerway.Listed
function listing.open(what, given, read, log)
  local file = listing.check(what, given)
  if not file then
    return {
      text = table.concat(given, "\n"),
      unknown = function(line, text, expected)
        refuse(what, "item %d: expected %s, got %q", line, expected, string.sub(text, 1, 60))
      end,
      finish = function() end,
    }
  end
  local text, missing = read(file)
  if not text then
    refuse(what, "%s", missing)
  end
  local unknown, first_line, first = 0, nil, nil
  return {
    text = string.sub(text, 1, 3) == BOM and string.sub(text, 4) or text,
    unknown = function(line, row)
      unknown = unknown + 1
      first_line = first_line or line
      first = first or string.sub(string.match(row, "^(.-)%s*$"), 1, 60)
    end,
    finish = function(count)
      if unknown > 0 and count == 0 then
        refuse(what, "%s:%d: no line of it is understood; the first is '%s'", file, first_line, first)
      elseif unknown > 0 and log then
        log("warn", ("list %s: lines that are not understood, and left out: %d, the first is line %d: %s")
          :format(file, unknown, first_line, first))
      end
    end,
  }
end

---A copy of the text that can be changed, with a newline behind its end.
---@param text string
---@return ffi.cdata* bytes
---@return integer len
function listing.buffer(text)
  local len = #text
  local bytes = ffi.new("uint8_t[?]", len + 1)
  ffi.copy(bytes, text, len)
  bytes[len] = ("\n"):byte()
  return bytes, len
end

return listing
