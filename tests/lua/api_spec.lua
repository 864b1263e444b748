-- The editor types match the code, and docs/policy-api.md matches the types.
local kit = require "kit"
local nearest = require "steerway.host.nearest"
local types = require "steerway.host.types"

-- The fields that the editor types give a class, sorted.
local function declared(class)
  local names = {}
  local body = kit.text_of("lua/steerway/types.lua"):match("\n%-%-%-@class steerway%." .. class .. "\n(.-)\n\n")
    or kit.text_of("lua/steerway/types.lua"):match("\n%-%-%-@class steerway%." .. class .. "\n(.-)$")
  for name in body:gmatch "%-%-%-@field ([%w_]+)%??" do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

-- The known names, from which an error about an unknown one makes a suggestion.
local function sorted(names)
  local list = {}
  for _, name in ipairs(names) do
    list[#list + 1] = name
  end
  table.sort(list)
  return list
end

describe("the editor types", function()
  it("have the fields of conn, uplink and stats", function()
    assert.same(sorted(types.conn_names), declared "Conn")
    assert.same(sorted(types.uplink_names), declared "Uplink")
    assert.same(sorted(types.stats_names), declared "Stats")
  end)

  it("have what ctx has", function()
    assert.same(nearest.names_of(kit.world({ {} }):ctx()), declared "Ctx")
  end)

  it("have the hooks, the options of pick, and the keys of a policy and a parameter", function()
    local function known(text, o)
      local list = {}
      for name in kit.fails(kit.load, text, o):match("%(known: ([^)]+)%)"):gmatch "[%w_]+" do
        list[#list + 1] = name
      end
      table.sort(list)
      return list
    end
    kit.world { {} }
    assert.same(known "return { name = 'p', new = function() return { pick = print, x = print } end }", declared "Hooks")
    assert.same(known "return { name = 'p', new = print, x = 1 }", declared "Policy")
    assert.same(known "return { name = 'p', new = print, params = { n = { type = 'number', x = 1 } } }", declared "Param")
    local policy = kit.world({ {} }):load(kit.pick "return uplinks[1], 'r', { x = 1 }")
    local list = {}
    for name in kit.fails(policy.pick, policy):match("%(known: ([^)]+)%)"):gmatch "[%w_]+" do
      list[#list + 1] = name
    end
    table.sort(list)
    assert.same(list, declared "PickOptions")
  end)

  it("have the methods of counters and gauges", function()
    local ctx = kit.world({ {} }):ctx()
    for class, object in pairs { Counter = ctx.counter "c", Gauge = ctx.gauge "g" } do
      assert.same(nearest.names_of(object), declared(class))
    end
  end)
end)

describe("docs/policy-api.md", function()
  it("leaves nothing unsaid", function()
    local page = kit.text_of "docs/policy-api.md"
    assert.is_nil(page:match "\n(| `[^\n]- | *|)\n")
    for _, module in ipairs { "balance", "hours" } do
      for name in pairs(require("steerway." .. module)) do
        assert.truthy(page:find(("- `%s.%s("):format(module, name), 1, true), name)
      end
    end
    for _, module in ipairs { "sticky", "rules", "quota" } do
      assert.truthy(page:find(("- `%s("):format(module), 1, true), module)
    end
  end)
end)
