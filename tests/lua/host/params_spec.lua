local kit = require "kit"
local params = require "steerway.host.params"

-- Raises the error of params.check, with the key at whose line it would be shown.
local function fail(key, text)
  error(("[%s] %s"):format(key, text), 0)
end

local function check(schema, given)
  return params.check(schema, given or {}, fail)
end

describe("params", function()
  local schema = {
    cap = { type = "number", default = 5, min = 1, max = 10, about = "how many" },
    ratio = { type = "number", min = 0 },
    top = { type = "number", max = 3 },
    name = { type = "string", default = "x" },
    mood = { type = "string", enum = { "calm", "bold" }, default = "calm" },
    step = { type = "number", enum = { 1, 2, 4 } },
    on = { type = "boolean", default = false },
  }

  it("gives defaults, and nil where there is none", function()
    local p = check(schema)
    assert.equal(5, p.cap)
    assert.equal("x", p.name)
    assert.equal("calm", p.mood)
    assert.is_false(p.on)
    assert.is_nil(p.ratio)
  end)

  local good = {
    { "cap", "7", 7 }, { "cap", 7, 7 }, { "cap", "1", 1 }, { "cap", "10", 10 }, { "cap", "1.5", 1.5 }, { "cap", "0x8", 8 },
    { "ratio", "1e9", 1e9 }, { "ratio", "0", 0 }, { "top", "-5", -5 }, { "name", "a b", "a b" }, { "name", "", "" },
    { "mood", "bold", "bold" }, { "step", "4", 4 }, { "on", true, true }, { "on", false, false },
  }
  for _, word in ipairs { "true", "yes", "on", "1", "TRUE", "Yes" } do
    good[#good + 1] = { "on", word, true }
  end
  for _, word in ipairs { "false", "no", "off", "0", "Off" } do
    good[#good + 1] = { "on", word, false }
  end
  for _, case in ipairs(good) do
    it(("takes %s = %s"):format(case[1], tostring(case[2])), function()
      assert.equal(case[3], check(schema, { [case[1]] = case[2] })[case[1]])
    end)
  end

  local bad = {
    { "cap", "many", "[cap] parameter 'cap': expected a number from 1 to 10, got 'many'" },
    { "cap", "0", "[cap] parameter 'cap': expected a number from 1 to 10, got '0'" },
    { "cap", "10.5", "[cap] parameter 'cap': expected a number from 1 to 10, got '10.5'" },
    { "cap", "", "[cap] parameter 'cap': expected a number from 1 to 10, got ''" },
    { "cap", "nan", "[cap] parameter 'cap': expected a number from 1 to 10, got 'nan'" },
    { "cap", true, "[cap] parameter 'cap': expected a number from 1 to 10, got 'true'" },
    { "ratio", "-1", "[ratio] parameter 'ratio': expected a number of at least 0, got '-1'" },
    { "ratio", "inf", "[ratio] parameter 'ratio': expected a number of at least 0, got 'inf'" },
    { "ratio", 0 / 0, "[ratio] parameter 'ratio': expected a number of at least 0" },
    { "top", "4", "[top] parameter 'top': expected a number of at most 3, got '4'" },
    { "top", -math.huge, "[top] parameter 'top': expected a number of at most 3, got '-inf'" },
    { "name", 5, "[name] parameter 'name': expected a string, got '5'" },
    { "mood", "sad", "[mood] parameter 'mood': expected one of calm, bold, got 'sad'" },
    { "step", "3", "[step] parameter 'step': expected one of 1, 2, 4, got '3'" },
    { "on", "perhaps", "[on] parameter 'on': expected true or false, got 'perhaps'" },
    { "on", 1, "[on] parameter 'on': expected true or false, got '1'" },
  }
  for _, case in ipairs(bad) do
    it(("refuses %s = %s"):format(case[1], tostring(case[2])), function()
      local message = kit.fails(check, schema, { [case[1]] = case[2] })
      assert.equal(case[3], message:sub(1, #case[3]))
    end)
  end

  it("names what a mistyped parameter was meant to be, and all there are", function()
    assert.equal("[params] unknown parameter 'cpa'; did you mean 'cap'? (known: cap, mood, name, on, ratio, step, top)",
      kit.fails(check, schema, { cpa = "1" }))
    assert.equal("[params] unknown parameter 'zebra' (known: cap, mood, name, on, ratio, step, top)",
      kit.fails(check, schema, { zebra = "1" }))
    assert.equal("[params] unknown parameter 'cap' (it takes none)", kit.fails(check, {}, { cap = "1" }))
  end)

  it("raises when a policy reads what it did not declare", function()
    local p = check(schema)
    local message = kit.fails(function() return p.cpa end)
    assert.truthy(message:find("params_spec.lua:%d+: ctx.params has no field 'cpa'; did you mean 'cap'?"))
    assert.is_false(getmetatable(p))
  end)

  local broken = {
    { { [1] = {} }, "[params] params: expected names as keys, got 1" },
    { { a = 5 }, "[a] params.a: expected a table such as { type = \"number\", default = 1 }, got number" },
    { { a = {} }, "[a] params.a.type: expected \"number\", \"boolean\" or \"string\", got nil" },
    { { a = { type = "integer" } }, "[a] params.a.type: expected \"number\", \"boolean\" or \"string\", got integer" },
    { { a = { type = "number", defualt = 1 } },
      "[a] params.a has no field 'defualt'; did you mean 'default'? (known: type, default, min, max, enum, about)" },
    { { a = { type = "number", default = "1" } }, "[a] params.a.default: expected a number, got 1" },
    { { a = { type = "number", default = 0, min = 1 } }, "[a] params.a.default: expected a number of at least 1, got 0" },
    { { a = { type = "string", default = "c", enum = { "a", "b" } } }, "[a] params.a.default: expected one of a, b, got c" },
    { { a = { type = "boolean", default = 0 } }, "[a] params.a.default: expected true or false, got 0" },
    { { a = { type = "string", enum = "a" } }, "[a] params.a.enum: expected a list of values, got string" },
    { { a = { type = "number", min = 7, max = 1 } }, "[a] params.a: min 7 is more than max 1" },
    { { a = { type = "number", min = "1" } }, "[a] params.a.min: expected a number, for a parameter of type \"number\"" },
    { { a = { type = "string", max = 5 } }, "[a] params.a.max: expected a number, for a parameter of type \"number\"" },
  }
  for _, case in ipairs(broken) do
    it("refuses the schema: " .. case[2], function()
      assert.equal(case[2], kit.fails(check, case[1]))
    end)
  end
end)
