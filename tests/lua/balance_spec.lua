local balance = require "steerway.balance"
local kit = require "kit"

local function names(choose, uplinks, picks, n)
  local out = {}
  for i = 1, picks do
    out[i] = choose(nil, uplinks, n).name
  end
  return table.concat(out, " ")
end

local function tally(choose, uplinks, picks)
  local count = {}
  for _ = 1, picks do
    local name = choose(nil, uplinks).name
    count[name] = (count[name] or 0) + 1
  end
  return count
end

local function load_of(u)
  return u.active / u.weight
end

describe("balance.smooth", function()
  local seven_three = "a b a a a b a a b a"

  it("serves 7:3 exactly and interleaved, over and over", function()
    local w = kit.world { { name = "a", weight = 7 }, { name = "b", weight = 3 } }
    local smooth = balance.smooth()
    for _ = 1, 100 do
      assert.equal(seven_three, names(smooth, w.uplinks, 10))
    end
  end)

  it("uses the ratio of weights, not their size", function()
    for _, scale in ipairs { 0.001, 0.5, 3, 1000 } do
      local w = kit.world { { name = "a", weight = 7 * scale }, { name = "b", weight = 3 * scale } }
      local count = tally(balance.smooth(), w.uplinks, 10000)
      assert.near(7000, count.a, 1)
    end
  end)

  it("takes turns among equals", function()
    local w = kit.world { { name = "a" }, { name = "b" }, { name = "c" } }
    assert.equal("a b c a b c a", names(balance.smooth(), w.uplinks, 7))
  end)

  it("keeps each within one pick of its share at all times, for two", function()
    local w = kit.world { { name = "a", weight = 5 }, { name = "b", weight = 2 } }
    local smooth, a = balance.smooth(), 0
    for i = 1, 700 do
      a = a + (smooth(nil, w.uplinks).name == "a" and 1 or 0)
      assert.is_true(math.abs(a - i * 5 / 7) < 1)
    end
  end)

  it("follows weights that change", function()
    local w = kit.world { { name = "a", weight = 7 }, { name = "b", weight = 3 } }
    local smooth = balance.smooth()
    tally(smooth, w.uplinks, 25)
    w.views[1].weight, w.views[2].weight = 1, 4
    local count = tally(smooth, w.uplinks, 500)
    assert.near(100, count.a, 3)
  end)

  it("uses the uplinks that are left, and those that return", function()
    local w = kit.world { { name = "a", weight = 6 }, { name = "b", weight = 3 }, { name = "c", weight = 1 } }
    local a, b, c = w.uplinks[1], w.uplinks[2], w.uplinks[3]
    local smooth = balance.smooth()
    tally(smooth, w.uplinks, 7)
    local two = tally(smooth, { b, c }, 400)
    assert.near(300, two.b, 2)
    assert.near(100, two.c, 2)
    assert.equal("a a a", names(smooth, { a }, 3))
    local all = tally(smooth, w.uplinks, 1000)
    assert.near(600, all.a, 3)
    assert.near(300, all.b, 3)
    assert.near(100, all.c, 3)
  end)

  it("treats an uplink fairly that comes from a set with heavier ones", function()
    local w = kit.world { { name = "a", weight = 1000 }, { name = "b" }, { name = "c" } }
    local a, b, c = w.uplinks[1], w.uplinks[2], w.uplinks[3]
    for _, picks in ipairs { 1, 400, 501, 502, 900, 1001 } do
      local smooth = balance.smooth()
      tally(smooth, { a, b }, picks)
      local count = tally(smooth, { b, c }, 40)
      assert.near(20, count.b, 4)
    end
  end)

  it("takes the first n of a list", function()
    local w = kit.world { { name = "a" }, { name = "b" }, { name = "c" } }
    assert.equal("a b a b", names(balance.smooth(), w.uplinks, 4, 2))
  end)

  it("keeps a memory for each of its kind", function()
    local w = kit.world { { name = "a" }, { name = "b" } }
    local one, two = balance.smooth(), balance.smooth()
    assert.equal("a", one(nil, w.uplinks).name)
    assert.equal("a", two(nil, w.uplinks).name)
    assert.equal("b", one(nil, w.uplinks).name)
  end)

  it("says where an empty list came from", function()
    local message = kit.fails(function() local _ = balance.smooth()(nil, {}) end)
    assert.truthy(message:find "balance_spec.lua:%d+: balance.smooth: expected at least one uplink")
  end)
end)

describe("balance.least_of", function()
  it("chooses the least", function()
    local w = kit.world { { name = "a", active = 3 }, { name = "b", active = 1 }, { name = "c", active = 2 } }
    assert.equal("b b b", names(balance.least_of(load_of), w.uplinks, 3))
  end)

  it("weighs: 7 connections of one for every 3 of the other", function()
    local w = kit.world { { name = "a", weight = 7 }, { name = "b", weight = 3 } }
    local least = balance.least_of(load_of)
    for i = 1, 1000 do
      local u = least(nil, w.uplinks)
      w.views[u.id].active = w.views[u.id].active + 1
      assert.is_true(math.abs(w.views[1].active - 0.7 * i) <= 1)
    end
    assert.equal(700, w.views[1].active)
  end)

  it("takes turns by weight while all are level", function()
    local w = kit.world { { name = "a", weight = 7 }, { name = "b", weight = 3 } }
    assert.equal("a b a a a b a a b a", names(balance.least_of(load_of), w.uplinks, 10))
  end)

  it("takes turns only among equals", function()
    local w = kit.world { { name = "a" }, { name = "b", active = 1 }, { name = "c" } }
    assert.equal("a c a c", names(balance.least_of(load_of), w.uplinks, 4))
    w.views[2].active = 0
    local count = tally(balance.least_of(load_of), w.uplinks, 300)
    assert.same({ a = 100, b = 100, c = 100 }, count)
  end)

  it("forgets the level of the call before", function()
    local w = kit.world { { name = "a" }, { name = "b" }, { name = "c" } }
    local least = balance.least_of(load_of)
    least(nil, w.uplinks)
    w.views[1].active, w.views[2].active = 5, 5
    assert.equal("c c c", names(least, w.uplinks, 3))
    w.views[3].active = 9
    local count = tally(least, w.uplinks, 10)
    assert.is_nil(count.c)
    assert.near(5, count.a, 1)
  end)

  it("chooses among infinite values, and refuses values that are not numbers", function()
    local w = kit.world { { name = "a" }, { name = "b" } }
    assert.equal("a b", names(balance.least_of(function() return math.huge end), w.uplinks, 2))
    assert.equal("b b", names(balance.least_of(function(u) return u.name == "a" and 0 / 0 or 1 end), w.uplinks, 2))
    local message = kit.fails(function()
      local _ = balance.least_of(function() return 0 / 0 end)(nil, w.uplinks)
    end)
    assert.truthy(message:find "balance_spec.lua:%d+: balance.least_of: expected at least one uplink, and a number from key")
  end)

  it("takes the first n of a list", function()
    local w = kit.world { { name = "a", active = 2 }, { name = "b", active = 1 }, { name = "c" } }
    assert.equal("b b", names(balance.least_of(load_of), w.uplinks, 2, 2))
  end)

  it("takes a field for its key, and gives the key the connection", function()
    local w = kit.world { { name = "a", active = 2 }, { name = "b", active = 1 } }
    assert.equal("b b", names(balance.least_of "active", w.uplinks, 2))
    local seen
    balance.least_of(function(_, conn) seen = conn return 1 end)({ port = 25 }, w.uplinks)
    assert.equal(25, seen.port)
  end)

  it("says why", function()
    local w = kit.world { { name = "a" }, { name = "b" } }
    assert.equal("least of all", select(2, balance.least_of "active"(nil, w.uplinks)))
    assert.equal("my reason", select(2, balance.least_of("active", "my reason")(nil, w.uplinks)))
  end)

  it("wants a function or a field", function()
    assert.truthy(kit.fails(function() local _ = balance.least_of(5) end):find(
      "balance.least_of: expected a function%(uplink%) or a field's name, got number"))
  end)
end)

describe("balance.weighted_random", function()
  it("draws in proportion to weight", function()
    local w = kit.world { { name = "a", weight = 7 }, { name = "b", weight = 2 }, { name = "c", weight = 1 } }
    local count = tally(balance.weighted_random(kit.draws(42)), w.uplinks, 100000)
    -- Five standard deviations.
    assert.near(70000, count.a, 725)
    assert.near(20000, count.b, 633)
    assert.near(10000, count.c, 475)
  end)

  it("maps each part of the interval to its uplink, including the end", function()
    local w = kit.world { { name = "a", weight = 2 }, { name = "b", weight = 1 }, { name = "c", weight = 1 } }
    local point
    local draw = balance.weighted_random(function() return point end)
    for at, name in pairs { [0] = "a", [0.49] = "a", [0.5] = "b", [0.74] = "b", [0.75] = "c", [0.999999] = "c", [1] = "c" } do
      point = at
      assert.equal(name, draw(nil, w.uplinks).name)
    end
  end)

  it("does not depend on what was drawn before", function()
    local w = kit.world { { name = "a" }, { name = "b" } }
    local draw, repeats, before = balance.weighted_random(kit.draws(7)), 0, nil
    for _ = 1, 10000 do
      local name = draw(nil, w.uplinks).name
      repeats = repeats + (name == before and 1 or 0)
      before = name
    end
    assert.near(5000, repeats, 250)
  end)

  it("wants a generator", function()
    assert.truthy(kit.fails(function() local _ = balance.weighted_random() end):find(
      "balance_spec.lua:%d+: balance.weighted_random: expected ctx.random, got nil"))
  end)
end)

describe("balance.two_choices", function()
  it("takes the better of two different ones", function()
    local w = kit.world { { name = "a", active = 9 }, { name = "b", active = 1 }, { name = "c", active = 5 } }
    local count = tally(balance.two_choices(kit.draws(3), "active"), w.uplinks, 3000)
    -- Of the three pairs, b wins two and c one; a is never better.
    assert.near(2000, count.b, 130)
    assert.near(1000, count.c, 130)
    assert.is_nil(count.a)
  end)

  it("keeps loads nearly as even as the least of all", function()
    local w = kit.world { {}, {}, {}, {}, {}, {}, {}, {} }
    local choose = balance.two_choices(kit.draws(5), "active")
    for _ = 1, 8000 do
      local u = choose(nil, w.uplinks)
      w.views[u.id].active = w.views[u.id].active + 1
    end
    for _, view in ipairs(w.views) do
      assert.near(1000, view.active, 8)
    end
  end)

  it("works with one uplink, and with the first n", function()
    local w = kit.world { { name = "a" }, { name = "b" }, { name = "c" } }
    local choose = balance.two_choices(kit.draws(1), "active")
    assert.equal("a a", names(choose, w.uplinks, 2, 1))
    for _ = 1, 100 do
      assert.is_true(choose(nil, w.uplinks, 2).name ~= "c")
    end
  end)
end)

describe("balance.rendezvous", function()
  local hash = require("steerway.host.ctx").hash
  local function chooser()
    return balance.rendezvous(hash, function(conn) return conn.host end)
  end

  local function homes(choose, uplinks, n)
    local out, count = {}, {}
    for i = 1, n do
      local name = choose({ host = "host" .. i .. ".example" }, uplinks).name
      out[i] = name
      count[name] = (count[name] or 0) + 1
    end
    return out, count
  end

  it("gives a key the same uplink, each its share by weight", function()
    local w = kit.world { { name = "fibre", weight = 6 }, { name = "lte", weight = 1 }, { name = "dsl", weight = 3 } }
    local first, count = homes(chooser(), w.uplinks, 10000)
    assert.near(6000, count.fibre, 200)
    assert.near(3000, count.dsl, 200)
    assert.near(1000, count.lte, 150)
    assert.same(first, (homes(chooser(), w.uplinks, 10000)))
  end)

  it("moves only what must move", function()
    local w = kit.world { { name = "fibre" }, { name = "lte" }, { name = "dsl" } }
    local before = homes(chooser(), w.uplinks, 3000)
    local after = homes(chooser(), { w.uplinks[1], w.uplinks[3] }, 3000)
    local moved = 0
    for i = 1, 3000 do
      if before[i] == "lte" then
        moved = moved + 1
      else
        assert.equal(before[i], after[i])
      end
    end
    assert.near(1000, moved, 120)
  end)
end)

describe("balance.only", function()
  local function not_metered(u) return not u.tags.metered end
  local inner = balance.smooth()

  it("leaves out unwanted uplinks while another is left", function()
    local w = kit.world { { name = "a" }, { name = "b", tags = { "metered" } }, { name = "c" } }
    local choose = balance.only(not_metered, balance.smooth())
    assert.equal("a c a c", names(choose, w.uplinks, 4))
    assert.equal("b b", names(choose, { w.uplinks[2] }, 2))
    assert.equal("a a", names(choose, w.uplinks, 2, 2))
  end)

  it("has no opinion instead of an unwanted uplink when it is strict", function()
    local w = kit.world { { name = "b", tags = { "metered" } } }
    assert.is_nil((balance.only(not_metered, inner, true)(nil, w.uplinks)))
  end)

  it("wants functions", function()
    assert.truthy(kit.fails(function() balance.only(5, inner) end):find "balance.only: expected a function%(uplink%), got number")
    assert.truthy(kit.fails(function() balance.only(not_metered) end):find "balance.only: expected a chooser, got nil")
  end)
end)

describe("balance.tiers", function()
  local function full(u) return u.active >= 2 end

  it("takes the lowest tier there is", function()
    local w = kit.world { { name = "a", tier = 2 }, { name = "b", tier = 1 }, { name = "c", tier = 3 }, { name = "d", tier = 1 } }
    local choose = balance.tiers(balance.smooth())
    assert.equal("b d b d", names(choose, w.uplinks, 4))
    assert.equal("a a", names(choose, { w.uplinks[1], w.uplinks[3] }, 2))
    assert.equal("c", names(choose, { w.uplinks[3] }, 1))
    assert.equal("its turn", select(2, choose(nil, w.uplinks)))
    assert.equal("backup tier", select(2, choose(nil, { w.uplinks[3] })))
  end)

  it("keeps the reasons of a refusal and of no opinion", function()
    local w = kit.world { { name = "b", tier = 2 } }
    local answer
    local choose = balance.tiers(function() return answer, "so" end)
    answer = false
    assert.same({ false, "so" }, { choose(nil, w.uplinks) })
    answer = nil
    assert.equal("so", select(2, choose(nil, w.uplinks)))
  end)

  it("follows tiers that change, fractions among them", function()
    local w = kit.world { { name = "a", tier = 1 }, { name = "b", tier = 2 } }
    local choose = balance.tiers(balance.smooth())
    w.views[2].tier = 0.5
    assert.equal("b b", names(choose, w.uplinks, 2))
    w.views[1].tier = 0.5
    assert.equal("a b", names(choose, w.uplinks, 2))
  end)

  it("opens the next tier while all below are full, and closes it again", function()
    local w = kit.world { { name = "a" }, { name = "b" }, { name = "c", tier = 2 }, { name = "d", tier = 3 } }
    local choose = balance.tiers(balance.least_of "active", full)
    w.views[1].active = 2
    assert.equal("b b", names(choose, w.uplinks, 2))
    w.views[2].active = 3
    assert.equal("c c", names(choose, w.uplinks, 2))
    assert.equal("first tier is full", select(2, choose(nil, w.uplinks)))
    w.views[3].active = 2
    assert.equal("d d", names(choose, w.uplinks, 2))
    w.views[4].active = 9
    -- All are full, so they share as if in one tier.
    local count = tally(choose, w.uplinks, 4)
    assert.same({ a = 2, c = 2 }, count)
    w.views[1].active = 1
    assert.equal("a a", names(choose, w.uplinks, 2))
  end)

  it("wants a chooser", function()
    assert.truthy(kit.fails(function() balance.tiers() end):find "balance.tiers: expected a chooser, got nil")
    assert.truthy(kit.fails(function() balance.tiers(print, 5) end):find "balance.tiers: expected a function%(uplink%), or nil")
  end)
end)

describe("balance.least_latency", function()
  local w, choose

  local function picks(n, step)
    local count = {}
    for _ = 1, n do
      w.frame.now = w.frame.now + step
      local name = choose({ attempt = 1, id = 1, now = w.frame.now }, w.uplinks).name
      count[name] = (count[name] or 0) + 1
    end
    return count
  end

  it("works inside other choosers, and sees only the uplinks that they leave", function()
    w = kit.world { { name = "a", connect_time = 0.01, tags = { "metered" } }, { name = "b", connect_time = 0.05 } }
    choose = balance.only(function(u) return not u.tags.metered end, balance.least_latency(w:ctx()))
    assert.same({ b = 30 }, picks(30, 1))
  end)

  it("neither always nor never chooses a line that never connects", function()
    w = kit.world { { name = "good", connect_time = 0.05 }, { name = "mute" } }
    choose = balance.least_latency(w:ctx(), { explore = 10 })
    picks(2, 1)
    local count = picks(200, 1)
    assert.near(20, count.mute, 3)
    w.views[2].connect_time = 0.01
    assert.is_true(picks(100, 1).mute > 80)
  end)

  it("tries every line when connections are rare, and still uses the best one", function()
    w = kit.world { { name = "a", connect_time = 0.2 }, { name = "b", connect_time = 0.02 }, { name = "c" } }
    choose = balance.least_latency(w:ctx())
    local count = picks(120, 60)
    assert.is_true(count.b >= 85, "b: " .. count.b)
    assert.is_true(count.a >= 10 and count.c >= 10, ("a: %d, c: %d"):format(count.a, count.c))
  end)

  it("does not explore with a retry after a failure", function()
    w = kit.world { { name = "a", connect_time = 0.01 }, { name = "b" } }
    choose = balance.least_latency(w:ctx())
    assert.equal("a", choose({ attempt = 2, id = 1, now = 5 }, w.uplinks).name)
    assert.equal("a", choose({ attempt = 2, id = 1, now = 5 }, w.uplinks).name)
    assert.equal("b", choose({ attempt = 1, id = 1, now = w.frame.now }, w.uplinks).name)
  end)

  it("says what it wants", function()
    local ctx = kit.world({ {} }):ctx()
    local function refusal(...)
      return kit.fails(balance.least_latency, ...)
    end
    assert.truthy(refusal({ slack = 1 }):find("balance.least_latency: expected ctx", 1, true))
    assert.truthy(refusal(ctx, { slack = -1 }):find "expected a number from 0, got %-1")
    assert.truthy(refusal(ctx, { explore = 0 }):find "expected seconds, above 0, got 0")
  end)
end)
