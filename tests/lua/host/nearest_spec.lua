local kit = require "kit"
local nearest = require "steerway.host.nearest"

describe("nearest", function()
  local names = { "host", "port", "proto", "last_error", "is_domain", "up" }

  local meant = {
    hots = "host", hst = "host", hosst = "host", HOST = "host", Port = "port", portt = "port", prot = "port",
    protto = "proto", lastError = "last_error", last_eror = "last_error", is_domian = "is_domain",
  }
  for word, name in pairs(meant) do
    it(("takes '%s' for '%s'"):format(word, name), function()
      assert.equal(name, nearest.of(word, names))
    end)
  end

  for _, word in ipairs { "zebra", "hobbits", "x", "", "is_ipv6_or_so", ("host"):rep(20) } do
    it(("does not guess what '%s' means"):format(word), function()
      assert.is_nil(nearest.of(word, names))
    end)
  end

  it("does not explain two letters by two slips", function()
    assert.is_nil(nearest.of("xy", { "up" }))
    assert.equal("up", nearest.of("uq", { "up" }))
  end)

  it("takes a swap of two letters for one slip, not two", function()
    assert.equal("new", nearest.of("nwe", { "name", "new" }))
    assert.equal("proto", nearest.of("porto", { "posts", "proto" }))
    assert.is_nil(nearest.of("ehav", { "have_it" }))
  end)

  it("takes the closest of several", function()
    assert.equal("rx_bytes", nearest.of("rx_byte", { "tx_bytes", "rx_bytes", "rx_rate" }))
  end)

  it("takes words that are no strings", function()
    assert.is_nil(nearest.of(12, names))
    assert.is_nil(nearest.of(true, names))
    assert.is_nil(nearest.of({}, names))
  end)

  it("words the complaint with and without a guess", function()
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
