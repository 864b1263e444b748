local kit = require "kit"

local FILE = { file = "policies/time_of_day.lua" }

describe("time_of_day", function()
  local w, now

  local function at(hour, day)
    now = os.time { year = 2026, month = 11, day = 22 + (day or 1), hour = hour, min = 30 } -- the 23rd was a Monday
  end

  local function load(params)
    return w:load(nil, { file = FILE.file, params = params, wall = function() return now end })
  end

  before_each(function()
    w = kit.world { { name = "dsl" }, { name = "lte", tags = { "night" } } }
    at(12)
  end)

  it("uses the tagged lines during their hours, and the others at other times", function()
    local runner = load()
    assert.same({ dsl = 10, lte = 0 }, runner:tally(10))
    assert.equal("outside the hours", runner:pick().reason)
    at(3)
    assert.same({ dsl = 0, lte = 10 }, runner:tally(10))
    assert.equal("its hours", runner:pick().reason)
  end)

  it("knows days, and another tag", function()
    local runner = load { hours = "08:00-18:00", days = "mon-fri", tag = "office" }
    assert.same({ dsl = 5, lte = 5 }, runner:tally(10)) -- none has the tag, so all are as good
    w = kit.world { { name = "dsl" }, { name = "line", tags = { "office" } } }
    runner = load { hours = "08:00-18:00", days = "mon-fri", tag = "office" }
    assert.equal("line", runner:sequence(1))
    at(12, 6)
    assert.equal("dsl", runner:sequence(1))
  end)

  it("uses the remaining lines at any hour, unless it is strict", function()
    assert.equal("lte", load():sequence(1, nil, { 2 }))
    local answer = load({ strict = "yes" }):pick(nil, { 2 })
    assert.same({ "refuse", "no line is for this hour" }, { answer.verdict, answer.reason })
  end)

  it("is refused with invalid hours", function()
    assert.truthy(kit.fails(load, { hours = "8-9" }):find "hours: expected hours such as 22:00%-06:00, got '8%-9'")
  end)
end)
