local balance = require "steerway.balance"
local kit = require "kit"
local quota = require "steerway.quota"

describe("quota", function()
  local w

  before_each(function()
    w = kit.world { { name = "dsl" }, { name = "lte", quota_left = 1e9 } }
  end)

  local function go(choose)
    local u, reason = choose({}, w.uplinks)
    return u and u.name, reason
  end

  it("uses a line as long as there is some left of its quota", function()
    local choose = quota { inner = balance.smooth() }
    assert.equal("dsl", go(choose))
    assert.equal("lte", go(choose))
    w.views[2].quota_left = 0
    for _ = 1, 4 do
      assert.equal("dsl", go(choose))
    end
    w.views[2].quota_left = 1
    assert.equal("dsl lte", go(choose) .. " " .. go(choose))
  end)

  it("keeps the reserve", function()
    local choose = quota { inner = balance.smooth(), reserve = 1e9 }
    for _ = 1, 3 do
      assert.equal("dsl", go(choose))
    end
  end)

  it("exceeds the quota when no other uplink is left, or refuses", function()
    w.views[1].quota_left, w.views[2].quota_left = 0, 0
    assert.equal("dsl", go(quota { inner = balance.smooth() }))
    assert.same({ false, "all quotas are used up" }, { go(quota { inner = balance.smooth(), hard = true }) })
  end)

  it("says what it expects", function()
    local function message(o) return kit.fails(function() quota(o) end) end
    assert.truthy(message { hard = true }:find "quota_spec.lua:%d+: quota: inner: expected a chooser, got nil")
    assert.truthy(message { inner = print, reserve = "1G" }:find "reserve: expected a number, got string")
  end)
end)
