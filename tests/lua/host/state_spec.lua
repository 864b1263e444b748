local state = require "steerway.host.state"
local kit = require "kit"

describe("state", function()
  it("carries plain data", function()
    local t = { 1, 2.5, "x\0y", true, false, { a = { b = {} } }, [10] = "ten", [-0.5] = 1 / 0 }
    assert.same(t, state.decode(state.encode(t)))
    assert.is_nil(state.encode(nil))
  end)

  it("carries a table that stands in two places, twice", function()
    local inner = { 1 }
    local out = state.decode(state.encode { a = inner, b = inner })
    assert.same({ a = { 1 }, b = { 1 } }, out)
  end)

  it("says where something stands that cannot be carried", function()
    local expected = "; expected numbers, strings, booleans and tables of them"
    assert.equal("export: what it returned.sites[2].f is a function" .. expected,
      kit.fails(state.encode, { sites = { {}, { f = print } } }))
    assert.equal('export: what it returned["a b"] is a thread' .. expected,
      kit.fails(state.encode, { ["a b"] = coroutine.create(print) }))
    assert.equal("export: what it returned's key is a function" .. expected, kit.fails(state.encode, { [print] = 1 }))
    local w = kit.world { {} }
    assert.equal("export: what it returned[1] is a cdata" .. expected .. " (of an uplink, keep its name)",
      kit.fails(state.encode, { w.uplinks[1] }))
    local circle = {}
    circle.c = circle
    assert.truthy(kit.fails(state.encode, circle):find "^export: what it returned%.c.*more than 64 deep or in a circle$")
    assert.equal("export: expected it to return a table, got number", kit.fails(state.encode, 5))
  end)

  it("refuses more than there is time to write", function()
    local t = { 1 }
    for _ = 1, 60 do
      t = { t, t }
    end
    assert.equal("export: more than 500000 values", kit.fails(state.encode, t))
    local list = {}
    for k = 1, 500001 do
      list[k] = k
    end
    assert.equal("export: more than 500000 values", kit.fails(state.encode, list))
    list[500001] = nil
    assert.is_string(state.encode(list))
  end)
end)
