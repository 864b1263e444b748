local kit = require "kit"

local FILE = { file = "policies/least_traffic.lua" }

describe("least_traffic", function()
  local w, runner

  local function carry(id, tx, rx)
    w.views[id].tx_bytes = w.views[id].tx_bytes + tx
    w.views[id].rx_bytes = w.views[id].rx_bytes + rx
  end

  before_each(function()
    w = kit.world { { name = "a", active = 2 }, { name = "b", active = 2 } }
    runner = w:load(nil, FILE)
  end)

  it("takes the uplink whose live connections moved the fewest bytes, whatever their number", function()
    carry(1, 1000, 5000)
    w.views[2].active = 50
    assert.equal("b b", runner:sequence(2))
    carry(2, 9000, 0)
    assert.equal("a a", runner:sequence(2))
    assert.equal("least live traffic", runner:pick().reason)
  end)

  it("shares by weight", function()
    w.views[1].weight = 4
    carry(1, 0, 3900)
    carry(2, 0, 1000)
    assert.equal("a", runner:sequence(1))
    carry(1, 0, 200)
    assert.equal("b", runner:sequence(1))
  end)

  it("takes turns while no bytes have moved", function()
    assert.same({ a = 50, b = 50 }, runner:tally(100))
  end)

  it("does not count bytes of ended connections", function()
    carry(1, 0, 6000)
    carry(2, 0, 1000)
    assert.equal("b", runner:sequence(1))
    runner:hook("closed", nil, 1, { tx = 0, rx = 5500 })
    assert.equal("a", runner:sequence(1))
  end)

  it("resets its sum when a line has no connection left", function()
    runner:hook("closed", nil, 1, { tx = 0, rx = 5500 }) -- of a connection from before the policy was loaded
    carry(1, 0, 100)
    carry(2, 0, 50)
    w.views[1].active = 0
    assert.equal("a", runner:sequence(1))
    w.views[1].active = 1
    carry(1, 0, 60)
    assert.equal("b", runner:sequence(1))
  end)

  it("works with one uplink, and with those that are left", function()
    carry(1, 0, 9000)
    assert.equal("a a", runner:sequence(2, nil, { 1 }))
    assert.equal("b b", runner:sequence(2))
  end)

  it("keeps its sums over a reload", function()
    carry(1, 0, 6000)
    runner:hook("closed", nil, 1, { tx = 0, rx = 6000 })
    carry(2, 0, 10)
    local again = w:load(nil, FILE)
    again.entry.import(runner.entry.export())
    assert.equal("a", again:sequence(1))
  end)
end)
