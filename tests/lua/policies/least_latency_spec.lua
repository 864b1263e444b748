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
