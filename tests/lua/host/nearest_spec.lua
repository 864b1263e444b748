local kit = require "kit"
local nearest = require "steerway.host.nearest"

describe("nearest", function()
  local names = { "host", "port", "proto", "last_error", "is_domain", "up" }

  local cases = 0
  for line in assert(io.open "tests/unit/lib/base/nearest.txt"):lines() do
    local word, meant, list = line:match "^([^#%s]%S*)%s+(%S+)%s+(.+)$"
    if word then
      cases = cases + 1
      local known = {}
      for name in list:gmatch "%S+" do
        known[#known + 1] = name
      end
      it(("finds for '%s': %s"):format(word, meant), function()
        assert.equal(meant ~= "-" and meant or nil, nearest.of(word, known))
      end)
    end
  end

  it("passes the engine's table of test cases", function()
    assert.is_true(cases >= 30)
    assert.is_nil(nearest.of("", names))
  end)

  it("takes words that are no strings", function()
    assert.is_nil(nearest.of(12, names))
    assert.is_nil(nearest.of(true, names))
    assert.is_nil(nearest.of({}, names))
  end)

  it("makes the error with and without a suggestion", function()
    assert.equal("conn has no field 'hots'; did you mean 'host'?", nearest.complaint("conn", "hots", names))
    assert.equal("conn has no field 'zebra'", nearest.complaint("conn", "zebra", names))
  end)

  it("is quick on a word of any length", function()
    local took = kit.least(function()
      local start = os.clock()
      assert.is_nil(nearest.of(("x"):rep(1e6), names))
      return os.clock() - start
    end, 0.1)
    assert.is_true(took < 0.1)
  end)
end)
