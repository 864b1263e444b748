local kit = require "kit"

local function load(w, draw)
  return w:load(nil, { file = "policies/random.lua", random = draw })
end

describe("random", function()
  it("draws in proportion to weight", function()
    local w = kit.world { { name = "a", weight = 7 }, { name = "b", weight = 3 } }
    local count = load(w, kit.draws(2024)):tally(20000)
    assert.near(14000, count.a, 325) -- five standard deviations
    assert.equal(20000, count.a + count.b)
  end)

  it("spreads unevenly as its description says: over 60 of 100 on one of two equal lines in about one case of 28", function()
    local w = kit.world { { name = "a" }, { name = "b" } }
    local runner, strays = load(w, kit.draws(5)), 0
    for _ = 1, 2000 do
      local count = runner:tally(100)
      strays = strays + (math.max(count.a, count.b) > 60 and 1 or 0)
    end
    assert.near(2000 / 28, strays, 42)
  end)

  it("uses the engine's generator by default", function()
    local w = kit.world { { name = "a" }, { name = "b" } }
    local count = load(w):tally(10000)
    assert.near(5000, count.a, 400) -- eight standard deviations: a case in 10^15
  end)

  it("works with any set of candidates", function()
    local w = kit.world { { name = "a", weight = 1000 }, { name = "b" } }
    assert.equal("b b b", load(w):sequence(3, nil, { 2 }))
  end)

  it("says why", function()
    assert.equal("drawn by weight", load(kit.world { {} }):pick().reason)
  end)
end)
