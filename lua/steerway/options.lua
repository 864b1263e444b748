-- Checks the options of the library's building blocks, so that a mistake shows when the policy is loaded.

local options = {}

---@param what string                   the function, for complaints
---@param given any
---@param known table<string, string>   each option's name, and what is expected of it: "chooser", "function", "number",
---                                     "string", "boolean", "list", "any"; with a ? at its end it may be missing
---@param level? integer                whose line is at fault: 2, the default, for the caller of the caller
function options.check(what, given, known, level)
  level = (level or 2) + 1
  local function fail(fmt, ...)
    error(what .. ": " .. fmt:format(...), level + 1)
  end
  if type(given) ~= "table" then
    fail("expected a table of options, got %s", type(given))
  end
  for key in pairs(given) do
    if not known[key] then
      local names = {}
      for name in pairs(known) do
        names[#names + 1] = name
      end
      table.sort(names)
      fail("unknown option '%s' (known: %s)", tostring(key), table.concat(names, ", "))
    end
  end
  for key, expected in pairs(known) do
    local value, optional = given[key], expected:sub(-1) == "?"
    local kind = optional and expected:sub(1, -2) or expected
    local lua_type = kind == "chooser" and "function" or kind == "list" and "table" or kind
    if value == nil and not optional or value ~= nil and kind ~= "any" and type(value) ~= lua_type then
      fail("%s: expected a %s, got %s", key, kind, type(value))
    end
  end
end

return options
