local kit = require "kit"
local texts = require "steerway.host.texts"

local MAX = 2 ^ 22

describe("the text functions of a policy", function()
  it("refuse texts that take C too long, at the caller's line", function()
    local huge = ("x"):rep(MAX + 1)
    local lower = texts.linear("string.lower", string.lower)
    local message = kit.fails(function() return (lower(huge)) end)
    assert.truthy(message:find
      "texts_spec.lua:%d+: string.lower: a text of 4194305 bytes is too long; expected at most 4194304")
    assert.equal(MAX, #lower(huge:sub(2)))
    assert.equal("5x", lower "5X")
    assert.equal("5", lower(5))
    assert.is_false((pcall(lower)))
    assert.is_false((pcall(lower, {})))
  end)

  it("repeat as the library does, small and large", function()
    for _, case in ipairs { { "x", 3 }, { "xy", 0 }, { "xy", -1 }, { "xy", 1, "--" }, { "xy", 3, "--" }, { "", 5, "," },
      { 5, "3" }, { "xy", 2.7 }, { "abc", 2 ^ 18 }, { "abc", 2 ^ 18 + 1, "," }, { "abcdefg", 99999, "12" },
      { ("x"):rep(2 ^ 20), 3, "y" },
      { "x", 3, 4 }, { "x", 2 ^ 20 } } do
      assert.equal(string.rep(case[1], case[2], case[3]), texts.rep(case[1], case[2], case[3]))
    end
    assert.truthy(kit.fails(texts.rep, "x", 1e9):find "string.rep: a text of 1000000000 bytes is too long")
    assert.truthy(kit.fails(texts.rep, "", 1e9, "xy"):find "string.rep: a text of 1999999998 bytes is too long")
    assert.truthy(kit.fails(texts.rep, "x", math.huge):find "string.rep: a text of %S+ bytes is too long")
    assert.is_false((pcall(texts.rep)))
    assert.is_false((pcall(texts.rep, "x")))
    assert.is_false((pcall(texts.rep, {}, 2)))
    assert.is_false((pcall(texts.rep, "x", 2, {})))
  end)

  it("format as the library does", function()
    for _, case in ipairs { { "%d-%s-%q-%5.1f-%%", 5, "x", "a\n\"", 2.25 }, { "%s %s", nil, true }, { "plain" }, { "%x", 255 },
      { "%s", print } } do
      assert.equal(string.format(unpack(case, 1, 5)), texts.format(unpack(case, 1, 5)))
    end
    local t = setmetatable({}, { __tostring = function() return "mine" end })
    assert.equal("mine 1 nil", texts.format("%s %d %s", t, 1, nil))
    local plain = {}
    assert.equal(tostring(plain), texts.format("%s", plain))
    for _, args in ipairs { {}, { "%d", "x" }, { "%s" }, { "%y", 1 }, { "%d", t } } do
      assert.is_false((pcall(texts.format, unpack(args))))
    end
  end)

  it("format no more than ends soon", function()
    assert.truthy(kit.fails(texts.format, ("%%"):rep(2 ^ 15) .. "x"):find "string.format: a text of 65537 bytes is too long")
    assert.truthy(kit.fails(texts.format, "%q%q", ("\1"):rep(2 ^ 20), ("\1"):rep(2 ^ 20 + 1)):find
      "string.format: a text of 2097153 bytes is too long")
    local many = {}
    for i = 1, 1001 do
      many[i] = 1e308
    end
    assert.truthy(kit.fails(texts.format, ("%.99f"):rep(1001), unpack(many)):find
      "string.format: 1001 values are too many; expected at most 100")
    local long = setmetatable({}, { __tostring = function() return ("x"):rep(2 ^ 21 + 1) end })
    assert.truthy(kit.fails(texts.format, "%q", long):find "string.format: a text of 2097153 bytes is too long")
    for _, odd in ipairs { false, {}, print } do
      local t = setmetatable({}, { __tostring = function() return odd end })
      assert.truthy(kit.fails(texts.format, "%s", t):find("a __tostring returned a " .. type(odd), 1, true))
    end
  end)

  it("take no long texts as numbers, except among at most two", function()
    local max, long = texts.numbers("math.max", math.max), "0x" .. ("f"):rep(2000)
    assert.equal(3, max(3))
    assert.equal(9, max(3, "9", 4, 5, 6))
    assert.equal(math.huge, max(long, long))
    for _, args in ipairs { { long, 1, 2 }, { 1, long, 2 }, { 1, 2, long }, { 1, 2, 3, long }, { 1, 2, 3, 4, long } } do
      local message = kit.fails(function() local _ = max(unpack(args)) end)
      assert.truthy(message:find
        "texts_spec.lua:%d+: math.max: a text of 2002 bytes is too long for a number; expected at most 100")
    end
    assert.is_false((pcall(max)))
    assert.is_false((pcall(max, 1, 2, {})))
    local libos = texts.os(os.time)
    assert.equal(os.time { year = 2020, month = 1, day = 2 }, libos.time { year = "2020", month = "1", day = 2 })
    assert.is_false((pcall(libos.time, { year = "x", month = "1", day = 2 })))
  end)

  it("let no function be called from within C", function()
    local calls = 0
    local meta = { __tostring = function()
      calls = calls + 1
      coroutine.yield() -- not across a C call
      return "t"
    end }
    local co = coroutine.wrap(function() return texts.format("%s", setmetatable({}, meta)) end)
    co()
    assert.equal("t", co())
    assert.equal(1, calls)
    local libos = texts.os(os.time)
    local fields = setmetatable({ year = 2020, month = 1, day = 2 }, { __index = function() error "called" end })
    assert.equal(os.time { year = 2020, month = 1, day = 2 }, libos.time(fields))
    assert.is_false((pcall(libos.time, setmetatable({}, { __index = { year = 2020, month = 1, day = 2 } }))))
  end)

  it("tell the time, in formats that are short", function()
    local libos = texts.os(function() return 86400.5 end)
    assert.equal(86400, libos.time())
    assert.equal("1970", libos.date "!%Y")
    assert.equal(os.date("!%c", 0), libos.date("!%c", 0))
    assert.equal(1970, libos.date("!*t").year)
    assert.truthy(kit.fails(libos.date, ("%c"):rep(257)):find "os.date: a text of 514 bytes is too long; expected at most 512")
    assert.is_string(libos.date(("%c"):rep(256)))
    assert.is_false((pcall(libos.date, {})))
    assert.is_false((pcall(libos.time, 5)))
  end)
end)
