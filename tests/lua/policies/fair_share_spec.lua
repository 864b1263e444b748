local kit = require "kit"

local FILE = { file = "policies/fair_share.lua" }

describe("fair_share", function()
  local w, runner

  -- This many connections at once; each is busy from its pick on.
  local function burst(n, ids)
    local count = {}
    for _ = 1, n do
      local name = runner:pick(nil, ids).names[1]
      w:named(name).busy = w:named(name).busy + 1
      count[name] = (count[name] or 0) + 1
    end
    return count
  end

  before_each(function()
    w = kit.world {
      { name = "fibre", rx_capacity = 12.5e6, tx_capacity = 5e6 }, { name = "lte", rx_capacity = 1.25e6, tx_capacity = 5e6 },
    }
    runner = w:load(nil, FILE)
  end)

  it("spreads a burst by capacity", function()
    assert.same({ fibre = 15, lte = 1 }, burst(16))
    assert.equal("largest share", runner:pick().reason)
  end)

  it("uses the configured direction", function()
    runner = w:load(nil, { file = FILE.file, params = { direction = "up" } })
    assert.same({ fibre = 8, lte = 8 }, burst(16))
  end)

  it("uses the direction with more traffic by default", function()
    w.views[1].tx_rate, w.views[2].rx_rate = 2e6, 1e6
    runner:pick() -- which sees it
    w.views[1].busy, w.views[2].busy = 0, 0
    assert.same({ fibre = 8, lte = 8 }, burst(16))
    w.views[1].tx_rate = 0.9e6
    runner:pick()
    w.views[1].busy, w.views[2].busy = 0, 0
    assert.same({ fibre = 15, lte = 1 }, burst(16))
  end)

  it("uses weights while no capacity is known", function()
    w = kit.world { { name = "a", weight = 3 }, { name = "b" } }
    runner = w:load(nil, FILE)
    assert.same({ a = 12, b = 4 }, burst(16))
  end)

  it("counts an unknown line as average", function()
    w = kit.world { { name = "a", rx_capacity = 1e6 }, { name = "b" } }
    runner = w:load(nil, FILE)
    assert.same({ a = 8, b = 8 }, burst(16))
  end)

  it("counts busy connections, not idle ones", function()
    w.views[1].active, w.views[1].busy = 1000, 0
    w.views[2].busy = 1
    assert.equal("fibre", runner:sequence(1))
  end)

  it("tries a line that was not chosen for long, since its capacity may have changed", function()
    w = kit.world { { name = "fibre", rx_capacity = 1e9 }, { name = "lte", rx_capacity = 1 } }
    runner = w:load(nil, { file = FILE.file, params = { explore = 10 } })
    assert.equal(("fibre "):rep(10) .. "lte " .. ("fibre "):rep(10) .. "lte", runner:sequence(22))
    assert.equal("largest share", runner:pick().reason)
    runner:sequence(9)
    assert.equal("measuring it again", runner:pick().reason)
  end)

  it("works with one uplink, and with those that are left", function()
    assert.same({ lte = 4 }, burst(4, { 2 }))
    assert.same({ fibre = 4 }, burst(4))
  end)
end)
