local kit = require "kit"

local FILE = { file = "policies/per_client.lua" }

describe("per_client", function()
  local w, runner

  local function go(client, ids)
    return runner:pick({ client = client }, ids).names[1]
  end

  before_each(function()
    w = kit.world { { name = "a", weight = 2 }, { name = "b", weight = 1 } }
    runner = w:load(nil, FILE)
  end)

  it("gives each client a line, by number of clients and weight", function()
    local count = {}
    for i = 1, 30 do
      local name = go("192.168.1." .. i)
      count[name] = (count[name] or 0) + 1
    end
    assert.same({ a = 20, b = 10 }, count)
    local first = go "192.168.1.7"
    w:named(first).active = 1000
    assert.equal(first, go "192.168.1.7")
    assert.equal("kept", runner:pick({ client = "192.168.1.7" }).reason)
  end)

  it("moves only the clients of a dead line, and fills it again with new ones", function()
    for i = 1, 12 do go("c" .. i) end
    w.views[1].up = false
    for i = 1, 12 do assert.equal("b", go("c" .. i, { 2 })) end
    w.views[1].up = true
    for i = 1, 12 do assert.equal("b", go("c" .. i)) end
    assert.equal("a", go "new1")
    assert.equal("a", go "new2")
  end)

  it("works with one line", function()
    assert.equal("b", go("x", { 2 }))
  end)

  it("keeps its memory over a reload", function()
    local first = go "x"
    local again = w:load(nil, FILE)
    again.entry.import(runner.entry.export())
    assert.equal("kept", again:pick({ client = "x" }).reason)
    assert.equal(first, again:pick({ client = "x" }).names[1])
  end)
end)
