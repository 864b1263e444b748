local kit = require "kit"

local FILE = { file = "policies/least_connections.lua" }

describe("least_connections", function()
  local w, runner

  before_each(function()
    w = kit.world { { name = "a", weight = 7 }, { name = "b", weight = 3 } }
    runner = w:load(nil, FILE)
  end)

  it("gives 7 connections to one for every 3 to the other, at any time", function()
    for i = 1, 500 do
      local view = w:named(runner:pick().names[1])
      view.active = view.active + 1
      assert.is_true(math.abs(w.views[1].active - 0.7 * i) <= 1)
    end
    assert.equal(350, w.views[1].active)
  end)

  it("spreads one request after another, with none live in between, 7:3 too", function()
    assert.equal("a b a a a b a a b a", runner:sequence(10))
    assert.same({ a = 700, b = 300 }, runner:tally(1000))
  end)

  it("fills up an uplink whose connections have ended", function()
    w.views[1].active, w.views[2].active = 70, 29
    assert.equal("b b b", runner:sequence(3))
    w.views[1].active = 60
    assert.equal("a a a", runner:sequence(3))
  end)

  it("works with any set of candidates", function()
    w.views[2].active = 1000
    assert.equal("b b", runner:sequence(2, nil, { 2 }))
    assert.equal("a a", runner:sequence(2, nil, { 2, 1 }))
  end)

  it("says why", function()
    assert.equal("fewest connections", runner:pick().reason)
  end)
end)
