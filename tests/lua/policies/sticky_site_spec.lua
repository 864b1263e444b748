local kit = require "kit"

local FILE = { file = "policies/sticky_site.lua" }

describe("sticky_site", function()
  local w, runner

  local function go(client, host, ids)
    return runner:pick({ client = client, host = host }, ids).names[1]
  end

  before_each(function()
    w = kit.world { { name = "a" }, { name = "b" } }
    runner = w:load(nil, FILE)
  end)

  it("keeps clients apart", function()
    local seen = {}
    for i = 1, 20 do
      local name = go("192.0.2." .. i, "www.example.com")
      w:named(name).active = w:named(name).active + 1
      seen[name] = (seen[name] or 0) + 1
    end
    assert.same({ a = 10, b = 10 }, seen)
  end)

  it("keeps a client's site on one line, and spreads sites", function()
    local first = go("192.0.2.1", "www.example.com")
    for _ = 1, 5 do
      assert.equal(first, go("192.0.2.1", "img.example.com"))
    end
    local count = {}
    for i = 1, 100 do
      local name = go("192.0.2.1", ("www.site%d.org"):format(i))
      w:named(name).active = w:named(name).active + 1
      count[name] = (count[name] or 0) + 1
    end
    assert.same({ a = 50, b = 50 }, count)
    assert.equal("kept", runner:pick({ client = "192.0.2.1", host = "site5.org" }).reason)
  end)

  it("moves only the sites of a dead line", function()
    for i = 1, 40 do go("192.0.2.1", ("site%d.org"):format(i)) end
    w.views[1].up = false
    for i = 1, 40 do assert.equal("b", go("192.0.2.1", ("site%d.org"):format(i), { 2 })) end
    w.views[1].up = true
    assert.is_true(go("192.0.2.1", "new1.org") == "a" or go("192.0.2.1", "new2.org") == "a")
    for i = 1, 40 do assert.equal("b", go("192.0.2.1", ("site%d.org"):format(i))) end
  end)

  it("forgets after its ttl, and makes do with one line", function()
    runner = w:load(nil, { file = FILE.file, params = { ttl = "10" } })
    assert.equal("a", runner:pick({ now = 1000, host = "x.org" }, { 1 }).names[1])
    assert.equal("a", runner:pick({ now = 1009, host = "x.org" }).names[1])
    w.views[1].active = 5
    assert.equal("b", runner:pick({ now = 1019, host = "x.org" }).names[1])
  end)

  it("keeps its memory over a reload", function()
    local first = go("192.0.2.1", "www.example.com")
    local again = w:load(nil, FILE)
    again.entry.import(runner.entry.export())
    w:named(first).active = 100
    assert.equal(first, again:pick({ client = "192.0.2.1", host = "www.example.com" }).names[1])
  end)
end)
