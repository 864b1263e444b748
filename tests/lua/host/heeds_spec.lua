-- Settings of uplinks that a policy ignores are reported; those that it uses are not.
local heeds = require "steerway.host.heeds"
local kit = require "kit"

local BALANCE = "local balance = require 'steerway.balance' local least = balance.least_connections() "

-- The settings that the policy ignores: "tier quota".
local function unheeded(text, o)
  kit.world {
    { name = "line" }, { name = "lte", tier = 2, tags = { "metered", "slow" }, quota_left = 5e9 }, { name = "spare", tier = 3 },
  }
  local names = {}
  local loaded = kit.load(text, o)
  for i, each in ipairs(loaded.unheeded) do
    names[i] = each.setting
  end
  return table.concat(names, " "), loaded.unheeded
end

local function shipped(name)
  return (unheeded(nil, { file = "policies/" .. name .. ".lua" }))
end

describe("settings that a policy ignores", function()
  it("is reported for shipped policies", function()
    for _, name in ipairs { "least_connections", "round_robin", "random", "fair_share", "least_traffic", "least_latency",
      "sticky_site", "per_client" } do
      assert.equal("tier tags quota", shipped(name), name)
    end
    assert.equal("tags quota", shipped "failover")
    assert.equal("tags", shipped "quota")
    assert.equal("tier quota", shipped "rules")
    assert.equal("tier quota", shipped "time_of_day")
  end)

  it("is told with the uplinks and what to do", function()
    local _, list = unheeded(kit.pick "return uplinks")
    assert.same({ setting = "tier", uplinks = "lte, spare",
      hint = "these uplinks are used like the others; failover, quota and balance.tiers use tiers" }, list[1])
    assert.equal("lte", list[2].uplinks)
    assert.equal("lte", list[3].uplinks)
    assert.truthy(list[3].hint:find('quota_end = "hard" enforces it', 1, true))
    for _, each in ipairs(list) do
      assert.is_true(#each.hint < 160)
    end
  end)

  it("is nothing where nothing is set", function()
    kit.world { { name = "a" }, { name = "b", weight = 3 } }
    assert.same({}, kit.load(kit.pick "return uplinks").unheeded)
  end)

  it("leaves out the tag that checks and races heed", function()
    kit.world { { name = "a" }, { name = "b", tags = { "metered" } } }
    assert.same({}, kit.load(kit.pick "return uplinks").unheeded)
  end)

  it("leaves out a quota that the engine ends", function()
    kit.world { { name = "a" }, { name = "b", quota_left = 5 } }
    assert.equal(1, #kit.load(kit.pick "return uplinks").unheeded)
    local reader = kit.reader { [kit.file] = kit.pick "return uplinks" }
    local loaded = require("steerway.host").load { file = kit.file, lua_dir = "lua", read = reader, hard = { [2] = true } }
    assert.same({}, loaded.unheeded)
  end)

  it("is not what the policy's own text names, wherever it does", function()
    for _, text in ipairs {
      kit.pick "return uplinks[1].tier == 1 and uplinks or nil",
      kit.pick "if conn.port == 5 then for _, u in ipairs(uplinks) do if u.tier == 2 then return u end end end", -- seldom
      kit.pick("return choose(conn, uplinks)", "local choose = require('steerway.balance').least_of 'tier'"),
      kit.pick("return inner(conn, uplinks)",
        "local inner = (function() return function(_, l) return l[1].tier and l end end)()"),
      kit.pick("return choose(conn, uplinks)", BALANCE .. "local choose = balance.tiers(least)"),
      (kit.pick("return uplinks", "local by = ctx.params.by"):gsub("new =",
        "params = { by = { type = 'string', default = 'tier' } }, new =")),
    } do
      assert.equal("tags quota", (unheeded(text)), text)
    end
  end)

  it("is not what a file beside the policy names", function()
    local files = { ["dir/mine.lua"] = "return function(u) return u.tags.slow, u.quota_left end" }
    assert.equal("tier", (unheeded(kit.pick("return uplinks", "local f = require 'mine'"), { files = files })))
  end)

  it("is not what a block of the library reads, if the policy uses it", function()
    assert.equal("tier tags", (unheeded(kit.pick("return q(conn, uplinks)",
      BALANCE .. "local q = require 'steerway.quota' { inner = least }"))))
    assert.equal("tier quota", (unheeded(kit.pick("return r(conn, uplinks)", BALANCE
      .. "local r = require 'steerway.rules' (ctx, { { ports = 25, tag = 'slow' } }, least)"))))
    assert.equal("tier tags quota", (unheeded(kit.pick("return r(conn, uplinks)", BALANCE
      .. "local r = require 'steerway.rules' (ctx, { { ports = 25, to = 'lte' } }, least)"))))
  end)

  it("is nothing where the policy loads text that cannot be seen", function()
    assert.equal("", (unheeded(kit.pick "return load('return ...')(uplinks)")))
  end)

  it("knows what each block of the library reads", function()
    local readers = {}
    for _, name in ipairs { "balance", "hours", "options", "quota", "rules", "sticky" } do
      local text = kit.text_of("lua/steerway/" .. name .. ".lua")
      for _, setting in ipairs { "tier", "tags", "quota_left" } do
        if text:gsub("%-%-[^\n]*", ""):find("%." .. setting .. "%f[%W]") then
          readers[#readers + 1] = "steerway." .. name .. " " .. setting
        end
      end
    end
    local known = {}
    for i, block in ipairs(heeds.blocks) do
      known[i] = block.module .. " " .. block.setting
    end
    table.sort(known)
    table.sort(readers)
    assert.same(readers, known)
  end)

  it("is a tag that the policy spells differently", function()
    local function told(tags, param)
      kit.world { { name = "line" }, { name = "lte", tags = tags } }
      local hint = kit.load(nil, { file = "policies/rules.lua", params = { steady = param } }).unheeded[1]
      return hint and hint.hint
    end
    assert.equal("the policy does not name the tag 'stedy'; did you mean 'steady'?", told { "stedy" })
    assert.equal("the policy does not name the tag 'ofice'; did you mean 'office'?", told({ "ofice" }, "office"))
    assert.is_nil(told { "steady" })
    assert.is_nil(told { "steady2", "steady" }) -- both are meant
    assert.is_nil(told { "basement" })
  end)
end)
