local kit = require "kit"

local function load_error(text, o)
  return kit.fails(kit.load, text, o)
end

describe("host.load", function()
  before_each(function()
    kit.world { { name = "fibre" }, { name = "lte", up = false } }
  end)

  it("returns the policy and its hooks", function()
    local loaded = kit.load "return { name = 'p', about = 'x', params = {}, new = function() return { pick = print } end }"
    assert.equal("p", loaded.policy.name)
    assert.equal("x", loaded.policy.about)
    assert.is_function(loaded.hooks.pick)
  end)

  it("takes a copy of the hooks", function()
    local loaded = kit.load [[
      return { name = "p", new = function()
        local t = { pick = function(conn) t.pick = nil return 1 end }
        _G.t = t
        return t
      end }]]
    loaded.hooks.pick()
    assert.is_function(loaded.hooks.pick)
  end)

  local known = " (known: name, about, params, new)"
  local hooks_known = " (known: pick, opened, failed, lost_race, closed, uplink_changed, export, import, selftest)"
  local wrong = {
    { "return {\n  name = 'p',\n  new = = 1\n}", "dir/p.lua:3: unexpected symbol near '='" },
    { "return {\n  name = 'p", "dir/p.lua:2: unfinished string near '<eof>'" },
    { "local x\nreturn x.y", "dir/p.lua:2: attempt to index local 'x' (a nil value)" },
    { "local a\nlocal xy = 1\nreturn { name = 'p', params = { ['x.'] = 5 }, new = print }",
      "dir/p.lua:1: params.x.: expected a table such as { type = \"number\", default = 1 }, got number" },
    { "\n\nreturn 7", "dir/p.lua:1: expected the file to return a table { name = …, new = … }, got number" },
    { "local x = 1", "dir/p.lua:1: expected the file to return a table { name = …, new = … }, got nil" },
    { "return {\n new = print }", "dir/p.lua:1: name: expected a string of letters, digits, _ . - (63 at most), got nil" },
    { "return {\n name = 5, new = print }",
      "dir/p.lua:2: name: expected a string of letters, digits, _ . - (63 at most), got 5" },
    { "return {\n name =\n 'a b', new = print }",
      "dir/p.lua:2: name: expected a string of letters, digits, _ . - (63 at most), got \"a b\"" },
    { "return {\n name = ('x'):rep(64), new = print }", "dir/p.lua:2: name: expected a string" },
    { "return { name = '', new = print }", "dir/p.lua:1: name: expected a string" },
    { "return { name = 'p',\n about = {}, new = print }", "dir/p.lua:2: about: expected a string, got table" },
    { "return { name = 'p',\n params = 'x', new = print }", "dir/p.lua:2: params: expected a table, got string" },
    { "return { name = 'p',\n\n}", "dir/p.lua:1: new: expected a function(ctx), got nil" },
    { "return { name = 'p',\n new = 3 }", "dir/p.lua:2: new: expected a function(ctx), got number" },
    { "return { name = 'p',\n\n abuot = '', new = print }",
      "dir/p.lua:3: the policy has no field 'abuot'; did you mean 'about'?" .. known },
    { "return { name = 'p',\n pick = print, new = print }", "dir/p.lua:2: the policy has no field 'pick'" .. known },
    { "return { name = 'p', new = print, 5 }", "dir/p.lua:1: the policy has no field '1'" .. known },
    { "return { name = 'p', new = print, ['a-%'] = 5 }", "dir/p.lua:1: the policy has no field 'a-%'" .. known },
    { "return { name = 'p',\n new = function()\n error 'no luck' end }", "dir/p.lua:3: no luck" },
    { "return { name = 'p',\n new = function(ctx)\n\n return ctx.unknown end }", "dir/p.lua:4: ctx has no field 'unknown'" },
    { "return { name = 'p',\n new = function() end }",
      "dir/p.lua:2: new (line 2): expected it to return a table { pick = function(conn, uplinks) … }, got nil" },
    { "local function new() return print end\nreturn { name = 'p',\n new = new }",
      "dir/p.lua:3: new (line 1): expected it to return a table { pick = function(conn, uplinks) … }, got function" },
    { "return { name = 'p',\n new = type }",
      "dir/p.lua:2: new (line 0): expected it to return a table { pick = function(conn, uplinks) … }, got string" },
    { "return { name = 'p',\n new = function() return {} end }",
      "dir/p.lua:2: pick: expected a function(conn, uplinks), got nil" },
    { "return { name = 'p', new = function() return {\n pick = 1 } end }",
      "dir/p.lua:1: pick: expected a function(conn, uplinks), got number" },
    { "return { name = 'p', new = function() return { pick = print,\n opend = print } end }",
      "dir/p.lua:2: what new returned has no field 'opend'; did you mean 'opened'?" .. hooks_known },
    { "return { name = 'p', new = function() return { pick = print,\n\n closed = {} } end }",
      "dir/p.lua:3: closed: expected a function, got table" },
    { "return { name = 'p', params = {\n cap = { type = 'numbr' } }, new = print }",
      "dir/p.lua:2: params.cap.type: expected \"number\", \"boolean\" or \"string\", got numbr" },
    { "function pick() end", "dir/p.lua:1: expected the file to return a table { name = …, new = … }, got nil; "
      .. "it sets a global 'pick', which has no effect" },
    { "return { name = 'p', pick = print, new = print }", "dir/p.lua:1: the policy has no field 'pick'" .. known
      .. "; pick belongs into what new returns: new = function(ctx) return { pick = … } end" },
    { "return { name = 'p', new = function() return {\n params = {}, pick = print } end }",
      "dir/p.lua:2: what new returned has no field 'params'" .. hooks_known
      .. "; params belongs beside new, in what the file returns" },
    { "local balance = require 'steerway.balance'\nreturn { name = 'p', new = function()\n"
      .. "return { pick = balance.least_connections } end }",
      "dir/p.lua:3: pick: balance.least_connections is not such a function, but makes one: "
      .. "call it, pick = balance.least_connections(…)" },
    { "local sticky = require 'steerway.sticky'\nreturn { name = 'p', new = function()\n return { pick = sticky } end }",
      "dir/p.lua:3: pick: sticky is not such a function, but makes one: call it, pick = sticky(…)" },
    { "local h = require 'steerway.hours'\nreturn { name = 'p', new = function()\n"
      .. "return { pick = print, opened = h.within } end }",
      "dir/p.lua:3: opened: hours.within is not such a function, but makes one: call it, opened = hours.within(…)" },
    { "local sticky = require 'steerway.sticky'\nreturn { name = 'p',\n new = sticky }",
      "dir/p.lua:3: new: expected a function(ctx), "
      .. "got the library's sticky: write new = function(ctx) return { pick = sticky(…) } end" },
    { "local b = require 'steerway.balance'\nreturn { name = 'p',\n new = b.least_connections }",
      "dir/p.lua:3: new: expected a function(ctx), got the library's balance.least_connections: "
      .. "write new = function(ctx) return { pick = balance.least_connections(…) } end" },
    { "local b = require 'steerway.balance'\nreturn { name = 'p',\n new = b.tiers(b.smooth()) }",
      "dir/p.lua:3: new: expected a function(ctx), got a function that the library has made: "
      .. "write new = function(ctx) return { pick = … } end, with it as pick" },
    { "local b = require 'steerway.balance'\nreturn { name = 'p',\n new = b }", "dir/p.lua:3: new: expected a function(ctx), "
      .. "got the library's balance: write new = function(ctx) return { pick = balance.… } end" },
    { "", "dir/p.lua:1: expected the file to return a table { name = …, new = … }, got nil; the file is empty" },
    { "local p = { name = 'p', new = print }",
      "dir/p.lua:1: expected the file to return a table { name = …, new = … }, got nil; the file has no return at its end" },
    { "local p = { name = 'p', new = print }\nreturn polcy;\n",
      "dir/p.lua:1: expected the file to return a table { name = …, new = … }, got nil; polcy, which it returns, is nil" },
    { "return\0", "dir/p.lua: expected Lua text, got binary data" },
    { "\255\254r\0e\0", "dir/p.lua: expected Lua text in UTF-8, got UTF-16: save the file as UTF-8" },
    { "require 'nothing'", "dir/p.lua:1: module 'nothing': dir/nothing.lua: No such file or directory" },
  }
  for _, case in ipairs(wrong) do
    it("refuses in one line that says where: " .. case[2]:sub(1, 60), function()
      local message = load_error(case[1])
      -- If pick's line is not found, new's line is used.
      assert.equal(case[2], message:sub(1, #case[2]))
      assert.is_nil(message:find "\n")
    end)
  end

  it("names the line in a long file too", function()
    local text = ("-- a comment that goes on and on\n"):rep(2000) .. "return { name = 'p', nwe = print }"
    assert.equal("dir/p.lua:2001: the policy has no field 'nwe'; did you mean 'new'?", load_error(text):match "^(.-) %(")
  end)

  it("names a file that is not there", function()
    assert.equal("dir/q.lua: No such file or directory", load_error("", { file = "dir/q.lua" }))
  end)

  it("checks parameters, and names the line of the schema", function()
    local text = "return { name = 'p', params = {\n cap = { type = 'number', max = 5 },\n},\n"
      .. "new = function(ctx) local cap = ctx.params.cap return { pick = function() return nil, tostring(cap) end } end }"
    local hooks = kit.load(text, { params = { cap = "4" } }).hooks
    assert.equal("4", select(2, hooks.pick()))
    assert.equal("dir/p.lua:2: parameter 'cap': expected a number of at most 5, got '6'",
      load_error(text, { params = { cap = "6" } }))
    assert.equal("dir/p.lua:1: unknown parameter 'cpa'; did you mean 'cap'? (known: cap)",
      load_error(text, { params = { cpa = "6" } }))
  end)

  it("is the same for the policy's files, each in its own folder", function()
    local loaded = kit.load("return require 'mine'", {
      file = "dir/p.lua", files = { ["dir/mine.lua"] = "return { name = 'mine', new = function() return { pick = print } end }" },
    })
    assert.equal("mine", loaded.policy.name)
  end)
end)
