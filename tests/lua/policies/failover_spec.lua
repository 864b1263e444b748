local kit = require "kit"

local FILE = { file = "policies/failover.lua" }

describe("failover", function()
  local w, runner

  before_each(function()
    w = kit.world {
      { name = "lte", tier = 2 }, { name = "dsl", tier = 1, weight = 3 }, { name = "fibre", tier = 1, weight = 7 },
      { name = "satellite", tier = 3 },
    }
    runner = w:load(nil, FILE)
  end)

  it("stays with the first tier, however loaded it is", function()
    w.views[2].active, w.views[3].active = 1000, 1000
    assert.same({ lte = 0, dsl = 0, fibre = 100, satellite = 0 }, runner:tally(100))
    assert.equal("first tier", runner:pick().reason)
  end)

  it("shares by weight within the tier", function()
    assert.same({ lte = 0, dsl = 300, fibre = 700, satellite = 0 }, runner:tally(1000))
  end)

  it("falls back tier by tier, and returns at once", function()
    assert.equal("dsl", runner:sequence(1, nil, { 1, 2, 4 }))
    assert.equal("lte lte", runner:sequence(2, nil, { 1, 4 }))
    assert.equal("backup tier", runner:pick(nil, { 1, 4 }).reason)
    assert.equal("satellite", runner:sequence(1, nil, { 4 }))
    assert.equal("fibre", runner:sequence(1, nil, { 1, 3, 4 }))
    assert.equal("first tier", runner:pick().reason)
  end)

  it("adds the next tier when the lines of the first are full, with overflow set", function()
    runner = w:load(nil, { file = FILE.file, params = { overflow = "5" } })
    w.views[2].active, w.views[3].active = 15, 34
    assert.equal("fibre", runner:sequence(1))
    w.views[3].active = 35
    assert.equal("lte", runner:sequence(1))
    assert.equal("first tier is full", runner:pick().reason)
    w.views[2].active = 14
    assert.equal("dsl", runner:sequence(1))
  end)
end)
