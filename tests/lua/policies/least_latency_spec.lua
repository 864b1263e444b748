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

  -- Connections a second apart. Those by the first line move its time by an eighth each. Returns how many it took until
  -- most of the latest eight went there, or nil.
  local function returns_after(n, from, takes)
    local line, latest = w.views[1], {}
    for i = 1, n do
      local there = runner:pick({ now = from + i }).names[1] == w.uplinks[1].name
      if there then
        line.connect_time = line.connect_time + 0.125 * (takes(i) - line.connect_time)
      end
      latest[i % 8] = there
      local count = 0
      for k = 0, 7 do
        count = count + (latest[k] and 1 or 0)
      end
      if count > 4 then
        return i
      end
    end
  end

  it("returns soon to a line whose buffer was full", function()
    w = kit.world { { name = "cable", connect_time = 0.62 }, { name = "lte", connect_time = 0.221 } }
    runner = w:load(nil, FILE)
    picks(2, 2000)
    local n = returns_after(100, 2002, function() return 0.121 end)
    assert.is_true(n and n <= 45, "after " .. (n or "more than 100") .. " seconds")
  end)

  it("tries a slow line rarely, also when its destinations are at different distances", function()
    w = kit.world { { name = "far", connect_time = 0.2 }, { name = "near", connect_time = 0.05 } }
    runner = w:load(nil, FILE)
    picks(2, 2000)
    local tries = 0
    assert.is_nil(returns_after(400, 2002, function()
      tries = tries + 1
      return tries % 3 == 0 and 0.1 or 0.25
    end))
    assert.near(25, tries, 7)
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
