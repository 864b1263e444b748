local balance = require "steerway.balance"
local kit = require "kit"
local sticky = require "steerway.sticky"

describe("sticky", function()
  local w, ctx

  -- Choose for this client and host, among these uplinks.
  local function go(choose, client, host, ids)
    local list = {}
    for i, id in ipairs(ids or { 1, 2, 3 }) do
      list[i] = w.uplinks[id]
    end
    local u, reason = choose({ client = client, host = host or "www.example.com" }, list)
    return u and u.name, reason
  end

  before_each(function()
    w = kit.world { { name = "a" }, { name = "b" }, { name = "c" } }
    ctx = w:ctx()
  end)

  it("keeps a client on its line", function()
    local choose = sticky(ctx, { by = "client", inner = balance.smooth() })
    assert.equal("a", go(choose, "one"))
    assert.equal("b", go(choose, "two"))
    for _ = 1, 5 do
      assert.same({ "a", "kept" }, { go(choose, "one", "other.org") })
      assert.same({ "b", "kept" }, { go(choose, "two") })
    end
    assert.same({ "c", "its turn" }, { go(choose, "three") })
  end)

  it("keeps by host, by site, by client and site, or by what a function says", function()
    local by_host = sticky(ctx, { by = "host", inner = balance.smooth() })
    assert.equal("a", go(by_host, "one", "www.example.com"))
    assert.equal("b", go(by_host, "one", "img.example.com"))
    assert.equal("a", go(by_host, "two", "www.example.com"))
    local by_site = sticky(ctx, { by = "site", inner = balance.smooth() })
    assert.equal("a", go(by_site, "one", "www.example.com"))
    assert.equal("a", go(by_site, "two", "img.example.com"))
    assert.equal("b", go(by_site, "one", "example.org"))
    local by_both = sticky(ctx, { by = "client_and_site", inner = balance.smooth() })
    assert.equal("a", go(by_both, "one", "www.example.com"))
    assert.equal("b", go(by_both, "two", "www.example.com"))
    assert.equal("a", go(by_both, "one", "img.example.com"))
    local by_name = sticky(ctx, { by = function(conn) return conn.host:match "^www" end, inner = balance.smooth() })
    assert.equal("a", go(by_name, "one", "www.example.com"))
    assert.equal("a", go(by_name, "two", "www.example.org"))
    assert.equal("b", go(by_name, "one", "img.example.com")) -- nil: not kept
    assert.equal("c", go(by_name, "one", "img.example.com"))
  end)

  it("keeps more clients and sites than it has texts for at hand", function()
    local choose = sticky(ctx, { by = "client_and_site", inner = balance.smooth() })
    local lines = {}
    for i = 1, 9000 do
      lines[i] = go(choose, "client" .. i % 300, ("site%d.org"):format(i % 30 + math.floor(i / 300) * 30))
    end
    for i = 1, 9000 do
      assert.equal(lines[i], (go(choose, "client" .. i % 300, ("site%d.org"):format(i % 30 + math.floor(i / 300) * 30))))
    end
  end)

  it("moves only the keys of a dead line, permanently", function()
    local choose = sticky(ctx, { by = "client", inner = balance.smooth() })
    assert.equal("a", go(choose, "one"))
    assert.equal("b", go(choose, "two"))
    w.views[1].up = false
    local moved = go(choose, "one", nil, { 2, 3 })
    assert.equal("b", go(choose, "two", nil, { 2, 3 }))
    w.views[1].up = true
    assert.equal(moved, (go(choose, "one")))
    assert.equal("b", go(choose, "two"))
  end)

  it("returns home when it is told to", function()
    local choose = sticky(ctx, { by = "client", inner = balance.smooth(), home = true })
    assert.equal("a", go(choose, "one"))
    w.views[1].up = false
    assert.is_true(go(choose, "one", nil, { 2, 3 }) ~= "a")
    w.views[1].up = true
    assert.same({ "a", "kept" }, { go(choose, "one") })
  end)

  it("keeps a key of a line that is left out on one other line, and over a reload", function()
    for _, home in ipairs { true, false } do
      local choose, memory = sticky(ctx, { by = "client", inner = balance.smooth(), home = home })
      assert.equal("a", go(choose, "one"))
      local other = go(choose, "one", nil, { 2, 3 })
      for _ = 1, 5 do
        assert.same({ other, "kept" }, { go(choose, "one", nil, { 2, 3 }) })
      end
      local again, its_memory = sticky(ctx, { by = "client", inner = balance.smooth(), home = home })
      its_memory.import(memory.export())
      for _ = 1, 3 do
        assert.same({ other, "kept" }, { go(again, "one", nil, { 2, 3 }) })
      end
      assert.same({ "a", "kept" }, { go(again, "one") })
    end
  end)

  it("keeps a key on one other line while its own is down", function()
    local choose = sticky(ctx, { by = "client", inner = balance.smooth(), home = true })
    assert.equal("a", go(choose, "one"))
    w.views[1].up = false
    local other = go(choose, "one", nil, { 2, 3 })
    for _ = 1, 5 do
      assert.same({ other, "kept" }, { go(choose, "one", nil, { 2, 3 }) })
    end
    local third = other == "b" and 3 or 2
    assert.is_true(go(choose, "one", nil, { third }) ~= other)
  end)

  it("does not move for a destination that fails", function()
    local choose = sticky(ctx, { by = "client", inner = balance.smooth() })
    assert.equal("a", go(choose, "one"))
    assert.is_true(go(choose, "one", "broken.example", { 2, 3 }) ~= "a") -- a was tried, and is up
    assert.same({ "a", "kept" }, { go(choose, "one") })
  end)

  it("forgets after a while without use", function()
    local choose, memory = sticky(ctx, { by = "client", inner = balance.smooth(), ttl = 60 })
    assert.equal("a", go(choose, "one"))
    w:pass(59)
    assert.equal("a", go(choose, "one"))
    w:pass(59)
    assert.equal("a", go(choose, "one"))
    assert.equal(1, memory.count())
    w:pass(60)
    assert.equal(0, memory.count())
    assert.equal("b", go(choose, "one"))
  end)

  it("keeps at most its capacity", function()
    local choose, memory = sticky(ctx, { by = "client", inner = balance.smooth(), capacity = 2 })
    go(choose, "one")
    go(choose, "two")
    go(choose, "three")
    assert.equal(2, memory.count())
    assert.same({ nil, 1, 1 }, memory.tally())
  end)

  it("remembers the first of a list, and neither a refusal nor no opinion", function()
    local answer
    local choose, memory = sticky(ctx, { by = "client", inner = function() return answer, "so" end })
    answer = false
    assert.same({ false, "so" }, { go(choose, "one") })
    answer = nil
    assert.is_nil((go(choose, "one")))
    assert.equal(0, memory.count())
    answer = { w.uplinks[3], w.uplinks[1] }
    choose({ client = "one", host = "x" }, w.uplinks)
    assert.same({ "c", "kept" }, { go(choose, "one") })
  end)

  it("carries its memory over, by names", function()
    local choose, memory = sticky(ctx, { by = "client", inner = balance.smooth() })
    go(choose, "one")
    go(choose, "two")
    local state = memory.export()
    w = kit.world { { name = "b" }, { name = "c" }, { name = "d" } } -- "a" is gone, and the others have other numbers
    local again, its_memory = sticky(w:ctx(), { by = "client", inner = balance.smooth() })
    its_memory.import(state)
    assert.same({ "b", "kept" }, { go(again, "two") })
    assert.equal(1, its_memory.count())
  end)

  it("says what it expects", function()
    local inner = balance.smooth()
    local function message(o) return kit.fails(function() sticky(ctx, o) end) end
    assert.truthy(message(nil):find "sticky_spec.lua:%d+: sticky: expected a table of options, got nil")
    assert.truthy(message { by = "client" }:find "sticky: inner: expected a chooser, got nil")
    assert.truthy(message { by = "user", inner = inner }:find 'sticky: by: expected "client", "host", "site", .* got user')
    assert.truthy(message { by = "client", inner = inner, tll = 5 }:find "unknown option 'tll' %(known: by,")
    assert.truthy(message { by = "client", inner = inner, ttl = "x" }:find "sticky: ttl: expected a number, got string")
    for _, ttl in ipairs { 0, -1, 0 / 0, math.huge } do
      assert.truthy(message { by = "client", inner = inner, ttl = ttl }:find "sticky_spec.lua:%d+: sticky: ttl: expected seconds")
    end
    for _, capacity in ipairs { 0, 1.5, 1e7, 0 / 0 } do
      local said = message { by = "client", inner = inner, capacity = capacity }
      assert.truthy(said:find "spec.lua:%d+: sticky: capacity: expected a whole")
    end
  end)
end)
