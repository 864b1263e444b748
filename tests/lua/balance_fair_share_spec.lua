local balance = require "steerway.balance"
local kit = require "kit"

describe("balance.fair_share", function()
  -- This many picks, each ended before the next.
  local function picks(choose, w, n)
    local count = {}
    for _ = 1, n do
      local name = choose({ attempt = 1, id = 1, now = 0 }, w.uplinks).name
      count[name] = (count[name] or 0) + 1
    end
    return count
  end

  it("works inside other choosers, and sees only the uplinks that they leave", function()
    local w = kit.world {
      { name = "a", rx_capacity = 1e6, tier = 2 }, { name = "b", rx_capacity = 2e6 }, { name = "c", rx_capacity = 1e6 },
    }
    local choose = balance.tiers(balance.fair_share(w:ctx(), { explore = 1000 }))
    assert.same({ b = 20 }, picks(choose, w, 20))
    w.views[2].busy = 3
    assert.same({ c = 20 }, picks(choose, w, 20))
  end)

  it("neither always nor never chooses a line whose capacity stays unknown", function()
    local w = kit.world { { name = "thin", rx_capacity = 1e5 }, { name = "wide", rx_capacity = 1e6 }, { name = "mute" } }
    local choose = balance.fair_share(w:ctx(), { explore = 50 })
    w.views[2].busy = 3 -- an average line would be chosen before the wide one
    local first = picks(choose, w, 50)
    assert.is_true(first.mute >= 45)
    local count = picks(choose, w, 2000)
    assert.is_true(count.wide > 1700, "wide: " .. count.wide)
    assert.is_true(count.mute > 30 and count.mute < 250, "mute: " .. count.mute)
    w.views[3].rx_capacity = 1e7
    picks(choose, w, 51) -- by its turn at the latest
    assert.is_true(picks(choose, w, 100).mute > 90)
  end)

  it("uses weights while no capacity is known", function()
    local w = kit.world { { name = "a", weight = 3 }, { name = "b" } }
    local choose, count = balance.fair_share(w:ctx(), { explore = 2000 }), { a = 0, b = 0 }
    for _ = 1, 1000 do
      local name = choose({ attempt = 1, id = 1, now = 0 }, w.uplinks).name
      count[name], w:named(name).busy = count[name] + 1, w:named(name).busy + 1
    end
    assert.same({ a = 750, b = 250 }, count)
  end)

  local clock = 0

  local function pick(w, choose)
    return choose({ attempt = 1, id = 1, now = clock }, w.uplinks).name
  end

  -- A pick a second while the lines carry these bytes/s. Returns how a burst of 16 is spread then.
  local function burst_after(seconds, w, choose, rates)
    for name, rate in pairs(rates) do
      w:named(name).rx_rate = rate
    end
    for _ = 1, seconds do
      clock = clock + 1
      pick(w, choose)
    end
    local count = {}
    for _ = 1, 16 do
      local name = pick(w, choose)
      count[name], w:named(name).busy = (count[name] or 0) + 1, w:named(name).busy + 1
    end
    return count
  end

  it("counts a line as at least what it carries, whether its capacity is known or not", function()
    for _, known in ipairs { 0, 5e5 } do
      local w = kit.world { { name = "wide", rx_capacity = known }, { name = "thin", rx_capacity = 2e5 } }
      assert.same({ wide = 15, thin = 1 }, burst_after(40, w, balance.fair_share(w:ctx()), { wide = 2e6 }))
    end
  end)

  it("is not misled by a buffer that empties at once", function()
    local w = kit.world { { name = "a", rx_capacity = 1e6 }, { name = "b", rx_capacity = 1e6 } }
    local choose = balance.fair_share(w:ctx())
    burst_after(40, w, choose, { a = 1e6, b = 1e6 })
    w.views[1].busy, w.views[2].busy = 0, 0
    assert.is_true(burst_after(1, w, choose, { a = 6e6 }).a <= 10)
  end)

  it("takes a pause for no look at the rates", function()
    local w = kit.world { { name = "a", rx_capacity = 1e6 }, { name = "b", rx_capacity = 1e6 } }
    local choose = balance.fair_share(w:ctx())
    pick(w, choose)
    clock = clock + 3600
    assert.same({ a = 8, b = 8 }, burst_after(0, w, choose, { a = 6e6 }))
  end)

  it("does not compare rates with weights", function()
    local w = kit.world { { name = "a", weight = 3 }, { name = "b" } }
    assert.same({ a = 12, b = 4 }, burst_after(40, w, balance.fair_share(w:ctx()), { b = 1e6 }))
  end)

  it("does not explore with a retry after a failure", function()
    local w = kit.world { { name = "a", rx_capacity = 1e9 }, { name = "b", rx_capacity = 1 } }
    local choose = balance.fair_share(w:ctx(), { explore = 2 })
    for _ = 1, 10 do
      assert.equal("a", choose({ attempt = 2, id = 1, now = 0 }, w.uplinks).name)
    end
    assert.equal("b", choose({ attempt = 1, id = 1, now = 0 }, w.uplinks).name)
  end)

  it("says what it wants", function()
    local ctx = kit.world({ {} }):ctx()
    local function refusal(...)
      return kit.fails(balance.fair_share, ...)
    end
    assert.truthy(refusal():find("balance.fair_share: expected ctx, as new(ctx) is given it, got nil", 1, true))
    assert.truthy(refusal(ctx, { direction = "sideways" }):find('expected "auto", "down" or "up", got "sideways"', 1, true))
    assert.truthy(refusal(ctx, { explore = 1 }):find "expected a number of picks from 2, got 1")
    assert.truthy(refusal(ctx, { explor = 1 }):find "unknown option 'explor'")
  end)
end)
