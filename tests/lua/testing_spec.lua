local kit = require "kit"
local testing = require "steerway.testing"
local types = require "steerway.host.types"

local POLICY = [[
return { name = "mine", params = { n = { type = "number", default = 1 } }, new = function(ctx)
  local picks, said = 0, {}
  ctx.every(10, function() said[#said + 1] = ("tick at %g, %g"):format(ctx.now(), ctx.time()) end)
  local function tell(...) said[#said + 1] = table.concat({ ... }, " ") end
  return {
    pick = function(conn, uplinks)
      picks = picks + 1
      if conn.host == "bad.example" then return false, "bad" end
      if conn.host == "none.example" then return end
      if conn.host == "slip.example" then return uplinks[1].nmae end
      local reason = table.concat(said, "; ") .. " #" .. picks .. " n=" .. ctx.params.n
      return uplinks, reason, { timeout = 2, hedge = 0.5, tag = conn.port }
    end,
    opened = function(conn, u, s) tell("opened", conn.host, u.name, s) end,
    failed = function(conn, u, err) tell("failed", u.name, err) end,
    lost_race = function(conn, u) tell("lost", u.name, tostring(conn.race)) end,
    closed = function(conn, u, stats) tell("closed", u.name, stats.rx, stats.reason, tostring(stats.tag)) end,
    uplink_changed = function(u, what) tell("changed", u.name, what) end,
    export = function() return { picks = picks } end,
    import = function(t) picks = t.picks end,
  }
end }
]]

describe("steerway.testing", function()
  local world, policy

  before_each(function()
    world = testing.world({ { name = "fibre", weight = 7 }, { name = "lte", tags = { "metered" }, active = 2 } },
      { now = 5, time = 1e9 })
    policy = world:load(POLICY)
  end)

  it("builds uplinks of the real types, whose numbers a test may set", function()
    local u = world.uplinks[2]
    assert.equal("lte", u.name)
    assert.is_true(u.tags.metered)
    assert.equal(2, u.active)
    world:named("lte").active = 3
    assert.equal(3, u.active)
    assert.truthy(kit.fails(function() u.active = 4 end):find "constant")
    assert.truthy(kit.fails(function() return u.nmae end):find "did you mean 'name'")
    assert.truthy(kit.fails(function() world:named "x" end):find
      "^tests/lua/testing_spec.lua:%d+: testing: unknown uplink x %(known: fibre, lte%)$")
    assert.truthy(kit.fails(testing.world, { { wieght = 1 } }):find
      "wieght = 1: an uplink has no field 'wieght'; did you mean 'weight'%?")
  end)

  it("asks as the proxy does", function()
    assert.same({ verdict = "use", uplink = "fibre", names = { "fibre", "lte" }, reason = " #1 n=1", timeout = 2, hedge = 0.5 },
      policy:pick())
    local refused = policy:pick { host = "bad.example" }
    assert.same({ "refuse", "bad" }, { refused.verdict, refused.reason })
    assert.equal("no opinion", policy:pick({ host = "none.example" }).verdict)
    assert.is_nil(policy:pick({ host = "none.example" }).uplink)
    assert.truthy(kit.fails(policy.pick, policy, { host = "slip.example" }):find "policy.lua:10: uplink has no field 'nmae'")
  end)

  it("offers those that are up, or those that a test names", function()
    assert.equal("lte", policy:pick(nil, { "lte" }).uplink)
    assert.equal("lte", policy:pick(nil, { 2 }).uplink)
    world:named("fibre").up = false
    assert.equal("lte", policy:pick().uplink)
    world:named("lte").up = false
    assert.truthy(kit.fails(policy.pick, policy):find "testing: pick: expected one candidate at least")
  end)

  it("counts", function()
    assert.equal("fibre fibre", policy:sequence(2))
    assert.same({ fibre = 3, lte = 0 }, policy:tally(3))
    assert.equal("lte lte", policy:sequence(2, nil, { "lte" }))
  end)

  it("calls hooks", function()
    policy:pick { id = 7, port = 99 }
    policy:hook("opened", { id = 7, host = "x.org" }, "lte", { connect_s = 0.5 })
    policy:hook("failed", nil, "fibre", { error = "timeout" })
    policy:hook("lost_race", { id = 7, race = true }, "lte")
    policy:hook("closed", { id = 7 }, "lte", { rx = 10, reason = "reset" })
    policy:hook("uplink_changed", nil, "lte", { what = "down" })
    assert.equal("opened x.org lte 0.5; failed fibre timeout; lost lte true; closed lte 10 reset 99; changed lte down #2 n=1",
      policy:pick().reason)
  end)

  it("lets time pass, and calls timers when they are due", function()
    world:pass(9)
    assert.equal(" #1 n=1", policy:pick().reason)
    world:pass(21)
    assert.equal("tick at 15, 1e+09; tick at 25, 1e+09; tick at 35, 1e+09 #2 n=1", policy:pick().reason)
    assert.equal(35, world.frame.now)
    assert.equal(1e9 + 30, world.frame.wall)
  end)

  it("takes parameters, and files that are not there", function()
    policy = world:load(POLICY, { params = { n = "3" } })
    assert.truthy(policy:pick().reason:find "n=3$")
    assert.truthy(kit.fails(world.load, world, POLICY, { params = { m = "3" } }):find "unknown parameter 'm'")
    local other = world:load("return require 'mine'", { files = { ["./mine.lua"] = POLICY } })
    assert.equal("fibre", other:pick().uplink)
  end)

  it("reloads with what the old one exports, and keeps the old one when the new one is bad", function()
    policy:sequence(3)
    policy:reload()
    assert.truthy(policy:pick().reason:find "#4 ")
    assert.truthy(kit.fails(policy.reload, policy, "return = 1"):find "policy.lua:1: unexpected symbol")
    assert.truthy(policy:pick().reason:find "#5 ")
    policy:reload((POLICY:gsub('"mine"', '"other"')))
    assert.truthy(policy:pick().reason:find "#1 ")
  end)

  it("runs the selftest", function()
    local message = kit.fails(world.load, world,
      "return { name = 'p', new = function() return { pick = print, selftest = function() error 'ill' end } end }")
    assert.truthy(message:find "policy.lua:1: ill")
  end)

  it("keeps what the policy logs", function()
    local p = world:load "return { name = 'p', new = function(ctx) ctx.log.warn('n=%d', 4) return { pick = print } end }"
    assert.same({ "warn: n=4" }, p.said)
  end)

  it("loads a file by its path", function()
    assert.equal("fibre", world:load("policies/failover.lua"):pick().uplink)
  end)

  it("refuses what does not exist, at the line of the spec", function()
    local function refusal(f, ...)
      local message = kit.fails(f, ...)
      assert.truthy(message:find "testing_spec.lua:%d+: testing: ", message)
      return message:match "testing: (.*)$"
    end
    local function pick(fields) policy:pick(fields) end
    local function hook(...) policy:hook(...) end
    local function load(o) world:load(POLICY, o) end
    local function new(...) testing.world(...) end
    local function pass(seconds) world:pass(seconds) end
    assert.truthy(refusal(pick, { hots = "x.org" }):find(
      "conn has no field 'hots'; did you mean 'host'? (known: address, attempt,", 1, true))
    assert.truthy(refusal(pick, { tag = 5 }):find "conn has no field 'tag'")
    assert.equal("conn: port: expected a number, got string", refusal(pick, { port = "443" }))
    assert.equal("conn: expected a table of fields, got string", refusal(pick, "www.example.org"))
    assert.truthy(refusal(hook, "close", nil, 1):find("a policy has no hook 'close'; did you mean 'closed'? (known:", 1, true))
    assert.truthy(refusal(hook, "closed", { cleint = "x" }, 1):find "did you mean 'client'")
    assert.truthy(refusal(hook, "closed", nil, 1, { error = "timeout" }):find "closed has no field 'error'")
    assert.truthy(refusal(hook, "failed", nil, 1, { error = "timed out" }):find "failed: error: expected one of timeout, refused")
    assert.truthy(refusal(hook, "uplink_changed", nil, 1, { what = "gone" }):find
      "expected one of up, down, address, quota, got 'gone'")
    assert.truthy(refusal(load, { parms = {} }):find "load has no field 'parms'; did you mean 'params'?")
    assert.truthy(refusal(new, { {} }, { tiem = 5 }):find "did you mean 'time'?")
    assert.equal("weight: expected a number, got string", refusal(new, { { weight = "7" } }))
    assert.equal("tags: expected a table, got string", refusal(new, { { tags = "metered" } }))
    assert.equal("pass: expected seconds, from 0, got -1", refusal(pass, -1))
    assert.equal("testing.world: expected a list of uplinks such as { { name = \"fibre\" } }, got nil", refusal(new))
    assert.equal("expected uplinks as tables such as { name = \"fibre\" }, got a string", refusal(new, { "fibre" }))
    local known = " (known: fibre, lte)"
    assert.equal("unknown uplink fibr; did you mean fibre?" .. known, refusal(function() policy:pick({}, { "fibr" }) end))
    assert.equal("unknown uplink x" .. known, refusal(hook, "closed", nil, "x"))
    assert.equal("pick: expected one candidate at least: no uplink is up, or the list is empty",
      refusal(function() policy:pick({}, {}) end))
    assert.equal("tally: expected a number of picks, from 1, got nil", refusal(function() policy:tally() end))
    assert.equal("sequence: expected a number of picks, from 1, got 0", refusal(function() policy:sequence(0) end))
    assert.equal('policy:closed: expected policy:hook("closed", conn, uplink, facts)',
      refusal(function() policy:closed({}, "fibre") end))
    for _, name in ipairs { "pick", "tally", "sequence", "hook" } do
      assert.equal(("policy.%s: call it with a colon, policy:%s(…)"):format(name, name),
        refusal(function() policy[name] { host = "x.org" } end))
    end
    for _, name in ipairs { "load", "named", "pass" } do
      assert.equal(("world.%s: call it with a colon, world:%s(…)"):format(name, name),
        refusal(function() world[name] "mine.lua" end))
    end
    assert.truthy(refusal(function() world:named("lte").actve = 3 end):find "did you mean 'active'?")
  end)

  it("can set each field of a connection, but for the tag, which is the policy's own", function()
    for _, name in ipairs(types.conn_names) do
      local message = name ~= "tag" and kit.fails(policy.pick, policy, { [name] = {} }) or "expected a"
      assert.truthy(message:find "expected a", message)
    end
  end)

  it("knows the hooks that a policy may have", function()
    local known = kit.fails(policy.hook, policy, "x", nil, 1):match "%(known: (.-)%)"
    local hooks = kit.fails(kit.load, "return { name = 'p', new = function() return { pick = print, x = print } end }")
      :match "%(known: (.-)%)"
    for name in hooks:gmatch "[%w_]+" do
      local of_another_kind = name == "pick" or name == "export" or name == "import" or name == "selftest"
      assert.equal(not of_another_kind, known:find(name, 1, true) ~= nil, name)
    end
  end)

  it("has clocks that stand until they are moved", function()
    local p = world:load [[return { name = "p", new = function(ctx) return { pick = function(conn, uplinks)
      return uplinks[1], ("%g %g %d %d"):format(conn.now, ctx.now(), ctx.time(), os.time())
    end } end }]]
    assert.equal("5 5 1000000000 1000000000", p:pick().reason)
    assert.equal("5 5 1000000000 1000000000", p:pick().reason)
    assert.equal("9 9 1000000000 1000000000", p:pick({ now = 9 }).reason)
    world:pass(60)
    assert.equal("69 69 1000000060 1000000060", p:pick().reason)
  end)

  it("is not for policies", function()
    assert.truthy(kit.fails(world.load, world, "require 'steerway.testing'"):find
      "steerway.testing is for specs; a policy cannot use it")
  end)
end)
