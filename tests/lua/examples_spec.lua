-- The policies of the examples do what their pages say.
local testing = require "steerway.testing"

describe("examples/work-and-streaming", function()
  local world, policy

  before_each(function()
    world = testing.world { { name = "fibre", tags = { "work" } }, { name = "cable", tags = { "films" } } }
    policy = world:load "examples/work-and-streaming/policy.lua"
  end)

  local function go(fields, who)
    local answer = policy:pick(fields, who)
    return answer.uplink, answer.reason
  end

  it("keeps the office on its line", function()
    assert.same({ "fibre", "office" }, { go { host = "vpn.example.com" } })
    assert.same({ "fibre", "office" }, { go { host = "203.0.113.9", is_domain = false } })
    assert.same({ "fibre", "office" }, { go { host = "2001:db8:aaaa::1", is_domain = false, is_ipv6 = true } })
    assert.same({ "fibre", "remote session" }, { go { host = "elsewhere.org", port = 22 } })
    local refused = policy:pick({ host = "vpn.example.com" }, { "cable" })
    assert.same({ "refuse", "office: its uplinks cannot serve" }, { refused.verdict, refused.reason })
  end)

  it("sends films by the cable, or by what there is", function()
    assert.same({ "cable", "film" }, { go { host = "r1.googlevideo.com" } })
    assert.equal("fibre", (go({ host = "r1.googlevideo.com" }, { "fibre" })))
  end)

  it("keeps the rest by site, over a reload too", function()
    local first = go { host = "www.shop.example" }
    world:named(first).active = 50
    assert.equal(first, (go { host = "img.shop.example" }))
    policy:reload()
    assert.same({ first, "kept" }, { go { host = "img.shop.example" } })
  end)
end)

describe("examples/dorm", function()
  local world, policy

  before_each(function()
    world = testing.world {
      { name = "wall", connect_time = 0.03 }, { name = "wifi", connect_time = 0.1 },
      { name = "phone", connect_time = 0.06, tags = { "metered" } },
    }
    policy = world:load "examples/dorm/policy.lua"
  end)

  it("takes the fastest line, and does not use the phone", function()
    policy:tally(2) -- each is tried once
    assert.same({ wall = 10, wifi = 0, phone = 0 }, policy:tally(10))
    world:named("wifi").connect_time = 0.04
    assert.same({ wall = 5, wifi = 5, phone = 0 }, policy:tally(10))
  end)

  it("tries slow and silent lines again", function()
    world:named("wifi").connect_time = 0 -- it has never connected
    local count = { wall = 0, wifi = 0, phone = 0 }
    for _ = 1, 200 do
      world:pass(1)
      local name = policy:pick().uplink
      count[name] = count[name] + 1
    end
    assert.is_true(count.wifi >= 8 and count.wifi <= 12, "wifi: " .. count.wifi)
    assert.equal(0, count.phone)
    world:named("wifi").connect_time = 0.01
    assert.is_true(policy:tally(100).wifi > 90)
  end)

  it("counts a line that fails as slow", function()
    world:named("wall").fail_rate, world:named("wifi").fail_rate = 0.9, 0.8
    world:named("wall").connect_time, world:named("wifi").connect_time = 0.2, 0.2
    policy:tally(3) -- each is tried once
    assert.equal("phone", policy:pick({ port = 443 }).uplink)
  end)

  it("takes the phone for small things when the others are slow", function()
    world:named("wall").connect_time, world:named("wifi").connect_time = 0.9, 0.8
    policy:tally(3) -- each is tried once
    assert.equal("phone", policy:pick({ port = 443 }).uplink)
    assert.equal("the others are slow or gone", policy:pick({ port = 443 }).reason)
    assert.is_true(policy:pick({ port = 6881 }).uplink ~= "phone")
  end)

  it("takes the phone for anything when nothing else is left", function()
    assert.equal("phone", policy:pick({ port = 6881 }, { "phone" }).uplink)
    assert.equal("wifi", policy:pick({ port = 6881 }, { "wifi", "phone" }).uplink)
  end)
end)

describe("examples/household", function()
  it("gives each device and site one line, and the office its own", function()
    local world = testing.world { { name = "fibre" }, { name = "dsl" } }
    local policy = world:load("examples/household/policy.lua", { params = { office = "192.168.1.5", line = "dsl" } })
    assert.equal("dsl dsl dsl", policy:sequence(3, { client = "192.168.1.5" }))
    local count = {}
    for i = 1, 200 do
      local fields = { client = "192.168.1." .. 10 + i % 20, host = "site" .. i .. ".org" }
      local name = policy:pick(fields).uplink
      assert.equal(name, policy:pick(fields).uplink)
      count[name] = (count[name] or 0) + 1
    end
    assert.is_true(count.fibre > 70 and count.dsl > 70)
    for i = 1, 50 do
      local fields = { client = "192.168.1.77", host = ("www.shop%d.example.co.uk"):format(i) }
      local name = policy:pick(fields).uplink
      fields.host = ("img%d.cdn.example.co.uk"):format(i)
      assert.equal(name, policy:pick(fields).uplink, "names of one site")
    end
  end)
end)
