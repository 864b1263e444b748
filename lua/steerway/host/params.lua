-- Checks a policy's parameters against the schema it declares. Values come as text (from the command line or the config).

local nearest = require "steerway.host.nearest"
local tables = require "steerway.host.tables" -- not C's table library: a policy's schema may be long, and C cannot be stopped

local params = {}

local TYPES = { number = true, boolean = true, string = true }
local SCHEMA_KEYS = { "type", "default", "min", "max", "enum", "about" }
local TRUE = { ["true"] = true, yes = true, on = true, ["1"] = true }
local FALSE = { ["false"] = true, no = true, off = true, ["0"] = true }

local function sorted_keys(t)
  local keys = {}
  for k in pairs(t) do
    keys[#keys + 1] = tostring(k)
  end
  tables.sort(keys)
  return keys
end

local function expected(spec)
  if spec.enum then
    local words = {}
    for i, v in ipairs(spec.enum) do
      words[i] = tostring(v)
    end
    return "one of " .. tables.concat(words, ", ")
  end
  if spec.type == "boolean" then
    return "true or false"
  end
  local text = "a " .. spec.type
  if spec.min and spec.max then
    return ("%s from %g to %g"):format(text, spec.min, spec.max)
  elseif spec.min then
    return ("%s of at least %g"):format(text, spec.min)
  elseif spec.max then
    return ("%s of at most %g"):format(text, spec.max)
  end
  return text
end

local function convert(kind, value)
  if type(value) == kind then
    return value
  end
  if type(value) ~= "string" then
    return nil
  end
  if kind == "number" then
    return tonumber(value)
  end
  local word = value:lower()
  if TRUE[word] then
    return true
  elseif FALSE[word] then
    return false
  end
  return nil
end

local function fits(spec, value)
  if spec.type == "number" then
    if value ~= value or value == math.huge or value == -math.huge then
      return false
    elseif spec.min and value < spec.min or spec.max and value > spec.max then
      return false
    end
  end
  if not spec.enum then
    return true
  end
  for _, v in ipairs(spec.enum) do
    if v == value then
      return true
    end
  end
  return false
end

local function check_spec(key, spec, fail)
  if type(key) ~= "string" then
    fail("params", "params: expected names as keys, got " .. tostring(key))
  end
  if type(spec) ~= "table" then
    fail(key, ("params.%s: expected a table such as { type = \"number\", default = 1 }, got %s"):format(key, type(spec)))
  end
  for k in pairs(spec) do
    local known = false
    for _, name in ipairs(SCHEMA_KEYS) do
      known = known or name == k
    end
    if not known then
      fail(key, nearest.complaint("params." .. key, k, SCHEMA_KEYS) .. " (known: " .. table.concat(SCHEMA_KEYS, ", ") .. ")")
    end
  end
  if not TYPES[spec.type] then
    fail(key, ("params.%s.type: expected \"number\", \"boolean\" or \"string\", got %s"):format(key, tostring(spec.type)))
  end
  if spec.enum ~= nil and type(spec.enum) ~= "table" then
    fail(key, ("params.%s.enum: expected a list of values, got %s"):format(key, type(spec.enum)))
  end
  for _, bound in ipairs { "min", "max" } do
    local v = spec[bound]
    if v ~= nil and (type(v) ~= "number" or spec.type ~= "number") then
      fail(key, ("params.%s.%s: expected a number, for a parameter of type \"number\""):format(key, bound))
    end
  end
  if spec.min and spec.max and spec.min > spec.max then
    fail(key, ("params.%s: min %g is more than max %g"):format(key, spec.min, spec.max))
  end
  if spec.default ~= nil and (type(spec.default) ~= spec.type or not fits(spec, spec.default)) then
    fail(key, ("params.%s.default: expected %s, got %s"):format(key, expected(spec), tostring(spec.default)))
  end
end

---@param schema table<string, steerway.Param>
---@param given table<string, any>             text, or values of the right type
---@param fail fun(key: string, text: string)  raises, naming the line where key stands
---@return table<string, any> values           unknown names raise
function params.check(schema, given, fail)
  for key, spec in pairs(schema) do
    check_spec(key, spec, fail)
  end
  local names = sorted_keys(schema)
  for _, key in ipairs(sorted_keys(given)) do
    if schema[key] == nil then
      local close = nearest.of(key, names)
      local text = close and ("; did you mean '%s'?"):format(close) or ""
      local known = #names > 0 and "known: " .. tables.concat(names, ", ") or "it takes none"
      fail("params", ("unknown parameter '%s'%s (%s)"):format(key, text, known))
    end
  end
  local values = {}
  for _, key in ipairs(names) do
    local spec, value = schema[key], given[key]
    if value == nil then
      value = spec.default
    else
      value = convert(spec.type, value)
      if value == nil or not fits(spec, value) then
        fail(key, ("parameter '%s': expected %s, got '%s'"):format(key, expected(spec), tostring(given[key])))
      end
    end
    values[key] = value
  end
  return setmetatable(values, {
    __metatable = false,
    __index = function(_, key)
      if schema[key] == nil then
        error(nearest.complaint("ctx.params", key, names), 2)
      end
      return nil
    end,
  })
end

return params
