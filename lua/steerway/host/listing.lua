-- Lists of names or addresses as policies give them: as a table of texts, or as a file with one a line, where blank lines and
-- what follows '#' mean nothing.

local ffi = require "ffi"

local listing = {}

local floor = math.floor

-- A fault of a list, without the place in the host's code.
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

---@param what string   the function of ctx, for complaints
---@param given any     string[]|{ file: string }
---@param read fun(path: string): string|nil, string|nil
---@return string text  one item a line
---@return fun(line: integer): string place  names a line in complaints
function listing.text(what, given, read)
  if type(given) ~= "table" then
    refuse(what, "expected a list of texts or { file = … }, got %s", type(given))
  elseif given.file == nil then
    check_items(what, given)
    return table.concat(given, "\n"), function(line)
      return ("item %d"):format(line)
    end
  end
  if type(given.file) ~= "string" then
    refuse(what, "file: expected a path, got %s", type(given.file))
  end
  local text, missing = read(given.file)
  if not text then
    refuse(what, "%s", missing)
  end
  return text, function(line)
    return ("%s:%d"):format(given.file, line)
  end
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

---A piece of the buffer as complaints show it.
function listing.shown(bytes, from, to)
  return ("%q"):format(ffi.string(bytes + from, math.min(to - from, 60)))
end

return listing
