-- Shows a wrong value in an error: as a word or a short text, never as an address in memory.

local raw_gsub, raw_sub, raw_tostring, raw_type = string.gsub, string.sub, tostring, type

-- Long enough to find the text in the file.
local SHOWN_MAX = 60

---@param value any
---@return string  a text in quotes, a number or boolean as it is, otherwise the type
return function(value)
  local kind = raw_type(value)
  if kind == "string" then
    return '"' .. raw_gsub(raw_sub(value, 1, SHOWN_MAX), "%c", "?") .. '"'
  elseif kind == "number" or kind == "boolean" or kind == "nil" then
    return raw_tostring(value)
  end
  return "a " .. kind
end
