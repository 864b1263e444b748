local hours = require "steerway.hours"
local kit = require "kit"

describe("hours", function()
  local now

  local function clock() return now end

  -- 2026-11-23 was a Monday.
  local function at(day, hour, minute)
    now = os.time { year = 2026, month = 11, day = 22 + day, hour = hour, min = minute or 0, sec = 30 }
  end

  it("knows a span of the day", function()
    local is = hours.within("08:00-18:30", nil, clock)
    for _, case in ipairs { { 7, 59, false }, { 8, 0, true }, { 18, 29, true }, { 18, 30, false }, { 0, 0, false } } do
      at(1, case[1], case[2])
      assert.equal(case[3], is(), case[1] .. ":" .. case[2])
    end
  end)

  it("knows one over midnight", function()
    local is = hours.within("22:00-6:00", nil, clock)
    for _, case in ipairs { { 21, 59, false }, { 22, 0, true }, { 23, 59, true }, { 0, 0, true }, { 5, 59, true },
      { 6, 0, false } } do
      at(1, case[1], case[2])
      assert.equal(case[3], is(), case[1] .. ":" .. case[2])
    end
  end)

  it("knows days, and those that go over the weekend", function()
    local work, week_end = hours.within(nil, "mon-fri", clock), hours.within(nil, "Sat,sun", clock)
    local both = hours.within(nil, "fri-mon", clock)
    for day = 1, 7 do
      at(day, 12)
      assert.equal(day <= 5, work())
      assert.equal(day >= 6, week_end())
      assert.equal(day >= 5 or day == 1, both())
    end
  end)

  it("counts a span over midnight to the day on which it begins", function()
    local is = hours.within("22:00-06:00", "fri", clock)
    at(5, 23)
    assert.is_true(is())
    at(6, 3)
    assert.is_true(is())
    at(5, 3)
    assert.is_false(is())
    at(6, 23)
    assert.is_false(is())
    local sunday = hours.within("22:00-06:00", "sun", clock)
    at(8, 3)
    assert.is_true(sunday())
  end)

  it("notices each change of the minute, and a clock that is set back", function()
    local is = hours.within("08:00-08:01", nil, clock)
    at(1, 7, 59)
    now = now + 29
    assert.is_false(is())
    now = now + 1
    assert.is_true(is())
    now = now + 59.9
    assert.is_true(is())
    now = now + 0.1
    assert.is_false(is())
    now = now - 30
    assert.is_true(is())
  end)

  it("takes the whole day and all days", function()
    local is = hours.within(nil, nil, clock)
    at(1, 0)
    assert.is_true(is())
    is = hours.within("00:00-24:00", "mon-sun", clock)
    at(7, 23, 59)
    assert.is_true(is())
  end)

  it("says what it expects", function()
    for _, wrong in ipairs { "8-18", "08:00", "25:00-26:00", "08:60-09:00", "08:00-08:00", "", "24:01-05:00", 5 } do
      local message = kit.fails(function() hours.within(wrong) end)
      assert.truthy(message:find "hours_spec.lua:%d+: hours: expected hours such as 22:00%-06:00, got '", wrong)
    end
    for _, wrong in ipairs { "monday", "mon-", "1-5", "", "mon-foo", "mon;tue" } do
      assert.truthy(kit.fails(hours.within, nil, wrong):find "hours: expected days such as mon%-fri or sat,sun, got", wrong)
    end
  end)
end)
