-- How an error shows the value that it complains of: in one word or a short text, never by its address in memory.

local raw_gsub, raw_sub, raw_tostring, raw_type = string.gsub, string.sub, tostring, type

-- Enough to find it in the file.
local SHOWN_MAX = 60

---@param value any
---@return string  a text in quotes, a number or boolean as it is, of anything else its type
return function(value)
  local kind = raw_type(value)
  if kind == "string" then
    return '"' .. raw_gsub(raw_sub(value, 1, SHOWN_MAX), "%c", "?") .. '"'
  elseif kind == "number" or kind == "boolean" or kind == "nil" then
    return raw_tostring(value)
  end
  return "a " .. kind
end
