local kit = require "kit"

local FILE = { file = "policies/least_latency.lua" }

describe("least_latency", function()
  local w, runner

  -- This many picks, a second apart.
  local function picks(n, from, ids)
    local count, out = {}, {}
    for i = 1, n do
      local name = runner:pick({ now = from + i }, ids).names[1]
      out[i] = name
      count[name] = (count[name] or 0) + 1
    end
    return count, table.concat(out, " ")
  end

  before_each(function()
    w = kit.world {
      { name = "cable", connect_time = 0.02 }, { name = "lte", connect_time = 0.06 }, { name = "dsl", connect_time = 0.022 },
    }
    runner = w:load(nil, FILE)
    picks(3, 1000) -- each is tried once
  end)

  it("takes the fastest line, and shares among nearly equal ones", function()
    local count = picks(18, 1003)
    assert.same({ cable = 9, dsl = 9 }, count)
    assert.equal("soonest to answer", runner:pick({ now = 1021.5 }).reason)
  end)

  it("tries the others now and then, so that a better line is noticed", function()
    local count = picks(100, 1003)
    assert.near(5, count.lte, 1)
    w.views[2].connect_time = 0.005
    assert.is_true((picks(50, 1103).lte or 0) >= 45)
  end)

  -- Connections a second apart; those by the first line move its time by an eighth. Returns the numbers of those that
  -- measure it, and of the first one after which it shares.
  local function tries(n, from, takes, attempt)
    local line, numbers = w.views[1], {}
    for i = 1, n do
      local result = runner:pick { now = from + i, attempt = attempt }
      local there = result.names[1] == w.uplinks[1].name
      if there and result.reason ~= "to measure it" then
        return numbers, i
      elseif there then
        numbers[#numbers + 1] = i
        line.connect_time = line.connect_time + 0.125 * (takes(#numbers) - line.connect_time)
      end
    end
    return numbers, nil
  end

  it("returns soon to a line whose buffer was full", function()
    w = kit.world { { name = "cable", connect_time = 0.62 }, { name = "lte", connect_time = 0.221 } }
    runner = w:load(nil, FILE)
    picks(2, 2000)
    local numbers, back = tries(100, 2002, function() return 0.121 end)
    assert.is_true(back and back <= 45, "after " .. (back or "more than 100") .. " seconds")
    for i = 2, #numbers do
      assert.equal(numbers[i - 1] + 2, numbers[i]) -- every second one
    end
    for i = 1, 10 do
      assert.equal("soonest to answer", runner:pick({ now = 2002 + back + i }).reason)
    end
  end)

  it("does not try such a line with a retry after a failure", function()
    w = kit.world { { name = "cable", connect_time = 0.62 }, { name = "lte", connect_time = 0.221 } }
    runner = w:load(nil, FILE)
    assert.equal("cable", select(2, picks(21, 2000)):match "%a+$")
    w.views[1].connect_time = 0.5 -- that one was quick
    assert.equal("lte", select(2, picks(1, 2021)))
    assert.same({}, (tries(5, 2022, function() return 0.1 end, 2)))
    assert.same({ 1, 3 }, (tries(4, 2027, function() return 0.1 end)))
  end)

  it("tries a slow line rarely, also when its times vary", function()
    w = kit.world { { name = "far", connect_time = 0.2 }, { name = "near", connect_time = 0.05 } }
    runner = w:load(nil, FILE)
    picks(2, 2000)
    local numbers, back = tries(400, 2002, function(i) return i % 2 == 0 and 0.16 or 0.24 end)
    assert.is_nil(back)
    assert.near(20, #numbers, 2)
  end)

  it("sometimes tries a line that was never measured", function()
    w = kit.world { { name = "a", connect_time = 0.01 }, { name = "dead", connect_time = 0 } }
    runner = w:load(nil, FILE)
    picks(2, 2000)
    local count = picks(100, 2002)
    assert.near(5, count.dead, 1)
    w.views[2].connect_time = 0.002
    assert.is_true(picks(50, 2102).dead >= 40)
  end)

  it("shares while no line is measured", function()
    w = kit.world { { name = "a" }, { name = "b" } }
    runner = w:load(nil, FILE)
    local count = picks(100, 2000)
    assert.near(50, count.a, 5)
  end)

  it("counts a higher weight as faster", function()
    w.views[2].weight = 10
    assert.equal("lte lte lte", select(2, picks(3, 1003)))
  end)

  it("works with one uplink, and with those that are left", function()
    assert.same({ lte = 5 }, picks(5, 1003, { 2 }))
    assert.equal("dsl", select(2, picks(1, 1008, { 2, 3 })))
    assert.is_true((picks(10, 1010).cable or 0) > 3)
  end)
end)
