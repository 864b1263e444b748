local kit = require "kit"

local FILE = { file = "policies/rules.lua" }

describe("rules", function()
  local w, runner

  local function go(fields, ids)
    local answer = runner:pick(fields, ids)
    return answer.names[1], answer.reason
  end

  before_each(function()
    w = kit.world { { name = "fibre", tags = { "steady" } }, { name = "lte", tags = { "streaming" } }, { name = "dsl" } }
    runner = w:load(nil, FILE)
  end)

  it("sends each kind to its uplink", function()
    assert.same({ "fibre", "remote session" }, { go { port = 22 } })
    assert.same({ "fibre", "remote session" }, { go { port = 5901 } })
    assert.same({ "fibre", "mail" }, { go { port = 993 } })
    assert.same({ "fibre", "meeting" }, { go { host = "eu01web.zoom.us" } })
    assert.same({ "lte", "video" }, { go { host = "r4---sn-x.googlevideo.com" } })
  end)

  it("shares the rest", function()
    assert.same({ fibre = 10, lte = 10, dsl = 10 }, runner:tally(30))
  end)

  it("sends it elsewhere when the line cannot serve, and back when it can", function()
    assert.is_true(go({ port = 22 }, { 2, 3 }) ~= "fibre")
    assert.equal("fibre", (go { port = 22 }))
  end)

  it("takes other tags, or none", function()
    w = kit.world { { name = "a" }, { name = "b", tags = { "calm" } } }
    runner = w:load(nil, { file = FILE.file, params = { steady = "calm" } })
    assert.equal("b", (go { port = 22 }))
    runner = w:load(nil, FILE)
    assert.same({ a = 5, b = 5 }, runner:tally(10, { port = 22 }))
    assert.equal("a", (go({ port = 22 }, { 1 })))
  end)
end)
