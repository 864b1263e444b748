local kit = require "kit"

local FILE = { file = "policies/round_robin.lua" }

describe("round_robin", function()
  it("is exact and interleaved, as its own description says", function()
    local w = kit.world { { name = "a", weight = 7 }, { name = "b", weight = 3 } }
    local runner = w:load(nil, FILE)
    local sequence = "a b a a a b a a b a"
    for _ = 1, 50 do
      assert.equal(sequence, runner:sequence(10))
    end
    assert.truthy(kit.text_of(FILE.file):find("7:3 goes " .. sequence, 1, true))
  end)

  it("does not look at live connections", function()
    local w = kit.world { { name = "a", active = 1000 }, { name = "b" } }
    assert.equal("a b a b", w:load(nil, FILE):sequence(4))
  end)

  it("uses the others when one fails, and uses it again later", function()
    local w = kit.world { { name = "a", weight = 2 }, { name = "b" }, { name = "c" } }
    local runner = w:load(nil, FILE)
    assert.same({ a = 100, b = 50, c = 50 }, runner:tally(200))
    local count = runner:tally(100, nil, { 2, 3 })
    assert.equal(0, count.a)
    assert.near(50, count.b, 1)
    count = runner:tally(400)
    assert.near(200, count.a, 2)
    assert.near(100, count.b, 2)
  end)

  it("starts again with each load", function()
    local w = kit.world { { name = "a" }, { name = "b" } }
    assert.equal("a", w:load(nil, FILE):sequence(1))
    assert.equal("a", w:load(nil, FILE):sequence(1))
  end)

  it("says why", function()
    assert.equal("its turn", kit.world({ {} }):load(nil, FILE):pick().reason)
  end)
end)
