local kit = require "kit"

local FILE = { file = "policies/quota.lua" }

describe("quota", function()
  local w, runner

  before_each(function()
    w = kit.world { { name = "dsl" }, { name = "lte", quota_left = 5e9 }, { name = "backup", tier = 2 } }
    runner = w:load(nil, FILE)
  end)

  it("shares among the first tier while quotas last", function()
    assert.same({ dsl = 50, lte = 50, backup = 0 }, runner:tally(100))
  end)

  it("leaves out a line whose quota is used up", function()
    w.views[2].quota_left = 0
    assert.same({ dsl = 100, lte = 0, backup = 0 }, runner:tally(100))
    assert.equal("backup", runner:sequence(1, nil, { 2, 3 }))
  end)

  it("keeps its reserve", function()
    runner = w:load(nil, { file = FILE.file, params = { reserve = "6000000000" } })
    assert.same({ dsl = 10, lte = 0, backup = 0 }, runner:tally(10))
  end)

  it("exceeds the quota when no other uplink can serve, or refuses when it is hard", function()
    w.views[2].quota_left = 0
    assert.equal("lte", runner:sequence(1, nil, { 2 }))
    runner = w:load(nil, { file = FILE.file, params = { hard = "true" } })
    local answer = runner:pick(nil, { 2 })
    assert.same({ "refuse", "all quotas are used up" }, { answer.verdict, answer.reason })
    assert.equal("dsl", runner:sequence(1))
  end)
end)
