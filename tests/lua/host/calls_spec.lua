local kit = require "kit"
local types = require "steerway.host.types"

local pick = kit.pick

describe("pick", function()
  local w

  before_each(function()
    w = kit.world { { name = "fibre", weight = 7 }, { name = "lte", weight = 3, tags = { "metered" } }, { name = "wifi" } }
  end)

  it("may choose an uplink, with or without a reason", function()
    assert.same({ verdict = "use", uplink = "lte", names = { "lte" }, reason = "because", timeout = 0, hedge = 0 },
      w:load(pick "return uplinks[2], 'because'"):pick())
    for _, reason in ipairs { "", ", nil", ", ''" } do
      assert.equal("p", w:load(pick("return uplinks[2]" .. reason)):pick().reason)
    end
  end)

  it("may give an order of preference", function()
    assert.same({ verdict = "use", uplink = "wifi", names = { "wifi", "fibre" }, reason = "listed", timeout = 0, hedge = 0 },
      w:load(pick "return { uplinks[3], uplinks[1] }, 'listed'"):pick())
    assert.same({ "fibre", "lte", "wifi" }, w:load(pick "return uplinks"):pick().names)
    assert.same({ "lte", "lte" }, w:load(pick "return { uplinks[2], uplinks[2] }"):pick().names)
  end)

  it("may have no opinion", function()
    assert.equal("no opinion", w:load(pick ""):pick().verdict)
    assert.equal("no opinion", w:load(pick "return nil, 'whatever'"):pick().verdict)
  end)

  it("may refuse", function()
    assert.same({ verdict = "refuse", names = {}, reason = "not now", timeout = 0, hedge = 0 },
      w:load(pick "return false, 'not now'"):pick())
    assert.equal("p", w:load(pick "return false"):pick().reason)
  end)

  it("may limit the time of a dial", function()
    for _, seconds in ipairs { 0.001, 2.5, 86400 } do
      assert.equal(seconds, w:load(pick(("return uplinks[1], nil, { timeout = %g }"):format(seconds))):pick().timeout)
    end
    assert.equal(0, w:load(pick "return uplinks[1], nil, {}"):pick().timeout)
    w:load(pick "return uplinks[1], nil, { hedge = 0.5 }"):pick()
    assert.equal(0.5, w.frame.hedge_s)
    w:load(pick "return uplinks[1], nil, { hedge = false }"):pick()
    assert.equal(-1, w.frame.hedge_s) -- never
  end)

  local wrong = {
    ["return true"] = "a boolean; expected an uplink, a list of uplinks, nil, or false and a reason",
    ["return 1"] = "a number; expected an uplink",
    ["return 'lte'"] = "a string; expected an uplink",
    ["return print"] = "a function; expected an uplink",
    ["return coroutine.create(print)"] = "a thread; expected an uplink",
    ["return conn"] = "a conn where an uplink was expected",
    ["return 1LL"] = "a conn where an uplink was expected",
    ["return {}"] = "an empty list; expected uplinks, or nil for no opinion",
    ["return { 1 }"] = "a list that holds a number; expected uplinks",
    ["return { uplinks[1], 'lte' }"] = "a list that holds a string; expected uplinks",
    ["return { name = 'lte' }"] = "an empty list",
    ["return { uplinks[1], conn }"] = "a conn where an uplink was expected",
    ["return { uplinks }"] = "a list that holds a table; expected uplinks",
    ["local t = {} for i = 1, 65 do t[i] = uplinks[1] end return t"] = "a list of 65 uplinks; expected at most 64",
    ["return uplinks[1], 7"] = "a number as reason; expected a string",
    ["return uplinks[1], {}"] = "a table as reason; expected a string",
    ["return false, true"] = "a boolean as reason; expected a string",
    ["return uplinks[1], nil, 7"] = "a number as third value; expected a table of options",
    ["return uplinks[1], nil, { timout = 1 }"] =
      "options with an unknown key 'timout'; did you mean 'timeout'? (known: timeout, tag, hedge, race, per, resolve)",
    ["return uplinks[1], nil, { 1 }"] = "options with an unknown key '1' (known: timeout, tag, hedge, race, per, resolve)",
    ["return uplinks[1], nil, { timeout = 0 }"] = "opts.timeout = 0; expected seconds, above 0 and at most 86400",
    ["return uplinks[1], nil, { timeout = -1 }"] = "opts.timeout = -1; expected seconds",
    ["return uplinks[1], nil, { timeout = 86401 }"] = "opts.timeout = 86401; expected seconds",
    ["return uplinks[1], nil, { timeout = 0/0 }"] = "; expected seconds",
    ["return uplinks[1], nil, { timeout = '1' }"] = "opts.timeout = 1; expected seconds",
    ["return uplinks[1], nil, { resolve = 1 }"] = "opts.resolve = 1; expected true or false",
    ["return uplinks[1], nil, { race = true }"] = "opts.race = true; expected \"any\", or nothing",
    ["return uplinks[1], nil, { hedge = math.huge }"] = "opts.hedge = inf; expected seconds",
  }
  for body, complaint in pairs(wrong) do
    it("is told where it went wrong: " .. body, function()
      local runner = w:load(pick("\n" .. body))
      local message = kit.fails(runner.pick, runner)
      assert.equal("dir/p.lua:1: pick returned ", message:sub(1, 27))
      assert.truthy(message:find(complaint, 1, true), message)
      assert.is_nil(message:find "\n")
    end)
  end

  it("is named by the line where it stands", function()
    local runner = w:load("return { name = 'p', new = function()\n\n"
      .. "local function choose() return 5 end\nreturn { pick = choose } end }")
    assert.equal("dir/p.lua:3: pick returned a number; expected an uplink, a list of uplinks, nil, or false and a reason",
      kit.fails(runner.pick, runner))
  end)

  it("is told what to do where a chooser was not called, or a name was returned", function()
    local runner = w:load(pick("return inner(conn, uplinks)",
      "local b = require 'steerway.balance' local inner = b.tiers(b.least_connections)"))
    assert.truthy(kit.fails(runner.pick, runner):find(
      "pick returned a function; expected an uplink, a list of uplinks, nil, or false and a reason: "
      .. "what makes a chooser must be called, as in balance.least_connections()", 1, true))
    runner = w:load(pick "return uplinks[1].name")
    assert.truthy(kit.fails(runner.pick, runner):find("a reason: return the uplink of the list whose name is '", 1, true))
  end)

  it("may be a builtin, though none is of use", function()
    local runner = w:load "return { name = 'p', new = function() return { pick = type } end }"
    assert.equal("policy:0: pick returned a string; expected an uplink, a list of uplinks, nil, or false and a reason",
      kit.fails(runner.pick, runner))
  end)

  it("may not choose who is no candidate", function()
    local runner = w:load(pick("return all[3]", "local all = ctx.uplinks"))
    assert.same({ "wifi" }, runner:pick().names)
    assert.same({ "wifi" }, runner:pick(nil, { 3, 1 }).names)
    local message = kit.fails(runner.pick, runner, nil, { 1, 2 })
    assert.equal("dir/p.lua:1: pick returned uplink wifi, which is not among the candidates", message)
    local lister = w:load(pick("return all", "local all = ctx.uplinks"))
    assert.same({ "fibre", "lte", "wifi" }, lister:pick().names)
    assert.truthy(kit.fails(lister.pick, lister, nil, { 1, 3 }):find("uplink lte, which is not among", 1, true))
  end)

  it("is told that uplinks are not fields of the list", function()
    for body, what in pairs { ["return uplinks.lte"] = "uplinks", ["return ctx.uplinks.lte"] = "ctx.uplinks" } do
      local runner = w:load(pick(body, "assert(ctx.uplinks[9] == nil)"))
      assert.equal(("dir/p.lua:2: %s is a list, without a field 'lte': an uplink is found by "
        .. 'for _, u in ipairs(%s) do if u.name == "lte" …'):format(what, what), kit.fails(runner.pick, runner))
    end
  end)

  it("finds its list fresh, whatever it did to the one before", function()
    local runner = w:load(pick [[
      assert(#uplinks == 3 and uplinks[1].id == 1 and uplinks[3].id == 3 and uplinks[4] == nil and rawget(uplinks, 'junk') == nil)
      for i = 1, 9 do uplinks[i] = uplinks[3] end
      uplinks.junk = true
      return uplinks[1] ]])
    for _ = 1, 5 do
      assert.same({ "wifi" }, runner:pick().names)
    end
    assert.is_false(pcall(function() return w:load(pick "setmetatable(uplinks, {})"):pick() end))
  end)

  it("sees the candidates in the order given", function()
    local runner = w:load(pick "return uplinks")
    assert.same({ "wifi", "fibre" }, runner:pick(nil, { 3, 1 }).names)
    assert.same({ "lte" }, runner:pick(nil, { 2 }).names)
  end)

  it("raises what the policy raises, with its line", function()
    local runner = w:load(pick "\nlocal x = nil\nreturn x.y")
    assert.equal("dir/p.lua:4: attempt to index local 'x' (a nil value)", kit.fails(runner.pick, runner))
    local typo = w:load(pick "return conn.hots")
    assert.equal("dir/p.lua:2: conn has no field 'hots'; did you mean 'host'?", kit.fails(typo.pick, typo))
  end)

  it("leaves no garbage", function()
    local reader = w:load(pick [[
      local best, low = nil, math.huge
      for i = 1, #uplinks do
        local u = uplinks[i]
        if conn.port == 443 and u.up and u.active / u.weight < low then best, low = u, u.active / u.weight end
      end
      return best, "by hand"]])
    assert.equal(0, reader:garbage(10000))
    assert.is_true(w:load(pick "return { uplinks[1] }"):garbage(10000) > 10000) -- it would be noticed
  end)
end)

describe("tags", function()
  local w

  before_each(function()
    w = kit.world { {} }
  end)

  it("come back for the connection that got them, until it is forgotten", function()
    local runner = w:load(pick "return uplinks[1], tostring(conn.tag), { tag = (conn.tag or 0) + 1 }")
    local function reason(id)
      return runner:pick({ id = id }).reason
    end
    assert.same({ "nil", "1", "nil", "2", "1" }, { reason(1), reason(1), reason(2), reason(1), reason(2) })
    assert.equal(2, w.frame.n_tags)
    runner:forget(1)
    runner:forget(1)
    runner:forget(77)
    assert.equal(1, w.frame.n_tags)
    assert.equal("nil", reason(1))
    runner:forget(1)
    runner:forget(2)
    assert.equal(0, w.frame.n_tags)
    assert.is_nil(next(types.tags))
  end)

  it("stay when a later pick gives none", function()
    local runner = w:load(pick "return uplinks[1], tostring(conn.tag), conn.attempt == 1 and { tag = 'mine' } or nil")
    runner:pick { attempt = 1 }
    assert.equal("mine", runner:pick({ attempt = 2 }).reason)
    assert.equal("mine", runner:pick({ attempt = 3 }).reason)
  end)

  it("may be anything but nil", function()
    local runner = w:load(pick [[
      if conn.attempt == 2 then return uplinks[1], type(conn.tag) end
      return uplinks[1], nil, { tag = {} }]])
    runner:pick()
    assert.equal("table", runner:pick({ attempt = 2 }).reason)
    local falsy = w:load(pick "return uplinks[1], tostring(conn.tag), { tag = false }")
    falsy:pick { id = 9 }
    assert.equal("false", falsy:pick({ id = 9 }).reason)
  end)

  it("reach the hooks", function()
    local runner = w:load [[
      return { name = "p", new = function()
        local heard
        return {
          pick = function(_, uplinks) return uplinks[1], heard, { tag = "t" } end,
          opened = function(conn) heard = "opened " .. conn.tag end,
          closed = function(_, _, stats) heard = "closed " .. stats.tag end,
        }
      end }]]
    runner:pick()
    runner:hook("opened", nil, 1, {})
    assert.equal("opened t", runner:pick().reason)
    runner:hook("closed", nil, 1, { reason = "closed" })
    assert.equal("closed t", runner:pick().reason)
  end)
end)

describe("hooks", function()
  local w

  before_each(function()
    w = kit.world { { name = "fibre" }, { name = "lte" } }
  end)

  it("hear what happened", function()
    local heard = {}
    local runner = w:load([[
      return { name = "p", new = function(ctx) return {
        pick = function() end,
        opened = function(conn, u, s) ctx.log.info("opened %s %s %g", conn.host, u.name, s) end,
        failed = function(conn, u, err) ctx.log.info("failed %d %s %s", conn.attempt, u.name, err) end,
        closed = function(conn, u, s)
          ctx.log.info("closed %s %g %g %g %s %s", u.name, s.tx, s.rx, s.duration, tostring(s.first_byte), s.reason)
        end,
      } end }]], { log = function(_, text) heard[#heard + 1] = text end })
    runner:hook("opened", nil, 1, { connect_s = 0.25 })
    runner:hook("failed", { attempt = 2 }, 2, { error = "timeout" })
    runner:hook("closed", nil, 1, { tx = 10, rx = 5e9, duration = 1.5, first_byte = 0.5, reason = "idle" })
    runner:hook("closed", nil, 2, { reason = "reset" })
    assert.same({ "opened www.example.org fibre 0.25", "failed 2 lte timeout", "closed fibre 10 5e+09 1.5 0.5 idle",
      "closed lte 0 0 0 nil reset" }, heard)
  end)

  it("that are absent are not there to be called", function()
    local entry = w:load(pick "").entry
    assert.is_nil(entry.opened)
    assert.is_nil(entry.failed)
    assert.is_nil(entry.closed)
    assert.is_function(entry.pick)
    assert.is_function(entry.forget)
  end)
end)
