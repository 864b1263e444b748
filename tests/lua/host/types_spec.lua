local ffi = require "ffi"
local kit = require "kit"
local types = require "steerway.host.types"

local function line_of(message)
  return message:match "types_spec.lua:(%d+): "
end

describe("an uplink", function()
  local w

  before_each(function()
    w = kit.world {
      { name = "fibre", weight = 7, tags = { "fast", "flat" }, rtt = 0.02 },
      { name = "10.0.0.9", kind = "address", interface = "wwan0", weight = 0.5, tier = 2, tags = { "metered" }, up = false,
        ipv6 = true },
    }
  end)

  it("shows its text", function()
    local a, b = w.uplinks[1], w.uplinks[2]
    assert.equal("fibre", a.name)
    assert.equal("interface", a.kind)
    assert.equal("fibre", a.interface)
    assert.equal("10.0.0.9", b.name)
    assert.equal("address", b.kind)
    assert.equal("wwan0", b.interface)
    assert.equal("uplink fibre", tostring(a))
  end)

  it("shows its numbers as they are at that moment", function()
    local b, view = w.uplinks[2], w.views[2]
    assert.equal(2, b.id)
    assert.equal(0.5, b.weight)
    assert.equal(2, b.tier)
    assert.equal(math.huge, b.quota_left)
    assert.is_false(b.up)
    assert.is_true(b.ipv4)
    assert.is_true(b.ipv6)
    for _, name in ipairs { "weight", "tier", "active", "total", "failures", "fail_rate", "tx_bytes", "rx_bytes", "tx_rate",
      "rx_rate", "tx_capacity", "rx_capacity", "busy", "connect_time", "rtt", "quota_left" } do
      view[name] = 12.25
      assert.equal(12.25, b[name])
    end
    view.up = true
    assert.is_true(b.up)
  end)

  it("has tags, as a list and as keys", function()
    local tags = w.uplinks[1].tags
    assert.equal(2, #tags)
    assert.equal("flat", tags[2])
    assert.is_true(tags.fast)
    assert.is_nil(tags.metered)
    assert.is_true(w.uplinks[2].tags.metered)
    assert.is_true(kit.fails(function() tags.slow = true end):find "tags.slow cannot be set: tags is read%-only" ~= nil)
    assert.is_false(getmetatable(tags))
  end)

  it("reads its device's name anew each time", function()
    local name = ffi.new("char[16]", "eth0")
    local view = types.writable_uplink { id = 3, weight = 1 }
    local u = types.add_uplink(view, 3, "moving", "address", name, {})
    assert.equal("eth0", u.interface)
    ffi.copy(name, "wlan0")
    assert.equal("wlan0", u.interface)
    ffi.copy(name, "")
    assert.equal("", u.interface)
  end)

  it("cannot be written", function()
    local u = w.uplinks[1]
    for _, name in ipairs { "weight", "id", "up", "ipv4", "quota_left" } do
      assert.truthy(kit.fails(function() u[name] = 1 end):find "attempt to write to constant location")
    end
    for _, name in ipairs { "name", "kind", "interface", "tags", "color", 1 } do
      local message = kit.fails(function() u[name] = "x" end)
      assert.truthy(message:find(("uplink.%s cannot be set: uplink is read-only"):format(name), 1, true))
      assert.truthy(line_of(message))
    end
    assert.equal(7, u.weight)
    assert.equal("fibre", u.name)
  end)

  it("knows what a mistyped field was meant to be", function()
    local u = w.uplinks[1]
    local meant = { wieght = "weight", activ = "active", rxbytes = "rx_bytes", Interface = "interface", tag = "tags" }
    for wrong, right in pairs(meant) do
      local message = kit.fails(function() return { u[wrong] } end)
      assert.truthy(message:find(("uplink has no field '%s'; did you mean '%s'?"):format(wrong, right), 1, true), message)
      assert.truthy(line_of(message))
    end
    for _, wrong in ipairs { "zebra", "__index", "colour", 1, 0, -1, true } do
      local message = kit.fails(function() return { u[wrong] } end)
      assert.truthy(message:find(("uplink has no field '%s'"):format(tostring(wrong)), 1, true), message)
      assert.is_nil(message:find("did you mean", 1, true))
    end
  end)

  it("may be kept and compared", function()
    assert.equal(w.uplinks[1], types.by_id[1])
    assert.is_true(w.uplinks[1] == types.by_id[1])
    assert.is_false(w.uplinks[1] == w.uplinks[2])
  end)

  it("gives no pointer away", function()
    local u = w.uplinks[1]
    for what, f in pairs {
      plus = function() return u + 1 end, minus = function() return u - u end, index = function() return u[0] end,
      call = function() return u() end, length = function() return #u end, join = function() return u .. "" end,
      less = function() return u < u end,
    } do
      assert.is_false(pcall(f), what)
    end
    assert.is_nil(tonumber(u))
  end)

  it("is told from everything else", function()
    assert.is_true(types.is_uplink(w.uplinks[1]))
    for _, other in ipairs { w.conn, w.stats, w.views[1], {}, "fibre", 1, 1LL, print } do
      assert.is_false(types.is_uplink(other))
    end
    assert.is_false(types.is_uplink(nil))
  end)
end)

describe("a conn", function()
  local w

  before_each(function()
    w = kit.world { {} }
    w:begin { id = 2 ^ 53 - 1, port = 65535, attempt = 3, user = "me", last_error = "dns", is_ipv6 = true, is_domain = false,
      host = "2001:db8::1", address = "2001:db8::1", proto = "connect" }
  end)

  it("shows what is known of the connection", function()
    local c = w.conn
    assert.equal(9007199254740991, c.id)
    assert.equal(1000, c.now)
    assert.equal("2001:db8::1", c.host)
    assert.equal("2001:db8::1", c.address)
    assert.equal(65535, c.port)
    assert.is_false(c.is_domain)
    assert.is_true(c.is_ipv6)
    assert.equal("connect", c.proto)
    assert.equal("192.0.2.7", c.client)
    assert.equal("me", c.user)
    assert.equal("127.0.0.1:1080", c.listener)
    assert.equal(3, c.attempt)
    assert.equal("dns", c.last_error)
    assert.is_nil(c.tag)
    assert.equal("conn", tostring(c))
  end)

  it("has nil where there is nothing", function()
    w:begin()
    assert.is_nil(w.conn.user)
    assert.is_nil(w.conn.address)
    assert.is_nil(w.conn.last_error)
  end)

  it("is alive during its call only", function()
    local c = w.conn
    w:finish()
    for _, name in ipairs { "host", "address", "client", "user", "listener", "proto", "last_error", "tag" } do
      local message = kit.fails(function() return { c[name] } end)
      assert.truthy(message:find "conn may only be read during the call it was given to")
      assert.truthy(line_of(message), message)
    end
    w:begin { host = "next.example" }
    assert.equal("next.example", c.host) -- the current one, never text of an ended one
  end)

  it("has the texts of the call under way, whatever was read in another", function()
    local c = w.conn
    assert.equal("2001:db8::1", c.host)
    assert.equal("me", c.user)
    assert.equal("2001:db8::1", c.host)
    w:finish()
    w:begin { host = "next.example", client = "192.0.2.8" }
    assert.equal("next.example", c.host)
    assert.equal("192.0.2.8", c.client)
    assert.is_nil(c.user)
    local other = kit.world { {} } -- its own frame, as for a test after this one
    for _ = 1, 2 do -- as many calls as there were before
      other:begin { host = "elsewhere.example" }
    end
    assert.equal("elsewhere.example", other.conn.host)
  end)

  it("cannot be written", function()
    assert.truthy(kit.fails(function() w.conn.port = 1 end):find "attempt to write to constant location")
    assert.truthy(kit.fails(function() w.conn.host = "x" end):find "conn.host cannot be set: conn is read%-only")
    assert.equal(65535, w.conn.port)
  end)

  it("knows what a mistyped field was meant to be", function()
    for wrong, right in pairs { hots = "host", lastError = "last_error", is_domian = "is_domain", prt = "port" } do
      local message = kit.fails(function() return { w.conn[wrong] } end)
      assert.truthy(message:find(("conn has no field '%s'; did you mean '%s'?"):format(wrong, right), 1, true), message)
      assert.truthy(line_of(message))
    end
    assert.truthy(kit.fails(function() return { w.conn.hostname_of_it } end):find "conn has no field 'hostname_of_it'$")
    assert.is_false(pcall(function() return w.conn[0] end))
    assert.is_false(pcall(function() return w.conn + 1 end))
  end)
end)

describe("stats", function()
  it("show how it went, and are alive during their call only", function()
    local w = kit.world { {} }
    w:begin()
    w.frame.stats.tx, w.frame.stats.rx, w.frame.stats.duration = 1, 5e9, 2.5
    w.frame.first_byte_s = 0.25
    local word = "idle"
    w.frame.word = word
    local s = w.stats
    assert.same({ 1, 5e9, 2.5, 0.25, "idle" }, { s.tx, s.rx, s.duration, s.first_byte, s.reason })
    w.frame.first_byte_s = 0
    assert.equal(0, s.first_byte)
    w.frame.first_byte_s = -1
    assert.is_nil(s.first_byte)
    assert.is_nil(s.tag)
    assert.truthy(kit.fails(function() return { s.rxx } end):find "stats has no field 'rxx'; did you mean 'rx'?")
    assert.truthy(kit.fails(function() s.reason = 1 end):find "stats.reason cannot be set: stats is read%-only")
    assert.truthy(kit.fails(function() s.tx = 1 end):find "attempt to write to constant location")
    w:finish()
    for _, name in ipairs { "reason", "tag", "first_byte" } do
      assert.truthy(kit.fails(function() return { s[name] } end):find "stats may only be read during the call")
    end
  end)
end)

describe("the layout", function()
  it("names every struct and field, for the comparison with C", function()
    local layout = types.layout()
    assert.equal(0, layout["uplink.weight"])
    assert.equal(layout.uplink, layout.uplink_rw)
    assert.equal(0, layout["frame.conn"])
    assert.equal(layout.conn, layout["frame.stats"])
    assert.equal(4 * 8 + 8, layout.conn)
    assert.is_number(layout["frame.live"])
  end)
end)
