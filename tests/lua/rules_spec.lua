local balance = require "steerway.balance"
local kit = require "kit"
local rules = require "steerway.rules"

describe("rules", function()
  local w, ctx, lines, now
  local noon = os.time { year = 2026, month = 11, day = 23, hour = 12 } -- a Monday

  before_each(function()
    w = kit.world { { name = "fibre", tags = { "steady" } }, { name = "lte", tags = { "metered" } }, { name = "dsl" } }
    lines, now = {}, noon
    ctx = w:ctx {
      log = function(level, text) lines[#lines + 1] = level .. ": " .. text end,
      wall = function() return now end,
      files = { ["dir/ads.txt"] = "ads.example\n" },
    }
  end)

  local function otherwise() return w.uplinks[3], "otherwise" end

  local function conn(fields)
    local c = { host = "www.example.com", port = 443, is_domain = true, client = "192.168.1.7", proto = "socks5" }
    for key, value in pairs(fields or {}) do c[key] = value end
    return c
  end

  -- The rule's decision for such a connection: the names, and why.
  local function says(rule, fields, ids)
    local list = {}
    for i, id in ipairs(ids or { 1, 2, 3 }) do list[i] = w.uplinks[id] end
    local chosen, reason, opts = rules(ctx, { rule }, otherwise)(conn(fields), list)
    if type(chosen) == "table" then
      local names = {}
      for i, u in ipairs(chosen) do names[i] = u.name end
      chosen = table.concat(names, " ")
    elseif chosen then
      chosen = chosen.name
    end
    return chosen, reason, opts
  end

  local function decides(rule, fields)
    return select(2, says(rule, fields)) ~= "otherwise"
  end

  it("knows destinations by name and by address", function()
    local rule = { domains = { "example.com" }, cidrs = "203.0.113.0/24", to = "lte" }
    assert.is_true(decides(rule, { host = "img.example.com" }))
    assert.is_false(decides(rule, { host = "example.org" }))
    assert.is_true(decides(rule, { host = "203.0.113.9", is_domain = false }))
    assert.is_false(decides(rule, { host = "192.0.2.9", is_domain = false }))
    assert.is_false(decides({ domains = "example.com", to = "lte" }, { host = "192.0.2.9", is_domain = false }))
    assert.is_false(decides({ cidrs = { "0.0.0.0/0" }, to = "lte" }, { host = "example.com" }))
    assert.is_true(decides({ domains = { file = "ads.txt" }, refuse = "ads" }, { host = "x.ads.example" }))
    assert.is_true(decides({ domains = ctx.domains { "example.com" }, to = "lte" }))
  end)

  it("knows the address behind a captured client's name", function()
    local rule = { domains = "example.com", cidrs = "203.0.113.0/24", to = "lte" }
    assert.is_true(decides(rule, { host = "example.org", address = "203.0.113.9" }))
    assert.is_true(decides(rule, { host = "example.com", address = "192.0.2.9" }))
    assert.is_false(decides(rule, { host = "example.org", address = "192.0.2.9" }))
    assert.is_false(decides({ domains = "example.com", to = "lte" }, { host = "example.org", address = "203.0.113.9" }))
    assert.is_true(decides({ proto = { "transparent", "forward" }, to = "lte" }, { proto = "forward" }))
  end)

  it("can send a captured connection to its name", function()
    local _, _, opts = says({ domains = "example.com", to = "lte", resolve = true }, {})
    assert.same({ resolve = true }, opts)
  end)

  it("knows ports", function()
    local rule = { ports = { 22, "6881-6999" }, to = "lte" }
    for port, expected in pairs { [22] = true, [23] = false, [6880] = false, [6881] = true, [6999] = true, [7000] = false } do
      assert.equal(expected, decides(rule, { port = port }), port)
    end
    assert.is_true(decides({ ports = 443, to = "lte" }))
  end)

  it("knows clients, users, protocols and functions", function()
    assert.is_true(decides({ clients = "192.168.1.0/24", to = "lte" }))
    assert.is_false(decides({ clients = { "192.168.2.0/24" }, to = "lte" }))
    assert.is_true(decides({ users = { "ann", "bob" }, to = "lte" }, { user = "bob" }))
    assert.is_false(decides({ users = "ann", to = "lte" }, { user = "eve" }))
    assert.is_false(decides({ users = "ann", to = "lte" }))
    assert.is_true(decides({ proto = { "http", "connect" }, to = "lte" }, { proto = "http" }))
    assert.is_false(decides({ proto = "http", to = "lte" }))
    assert.is_true(decides({ when = function(c) return #c.host > 5 end, to = "lte" }))
  end)

  it("knows the time", function()
    assert.is_true(decides({ hours = "08:00-18:00", days = "mon-fri", to = "lte" }))
    assert.is_false(decides({ hours = "08:00-11:00", to = "lte" }))
    assert.is_false(decides({ days = "sat,sun", to = "lte" }))
    now = noon + 12 * 3600
    assert.is_false(decides({ hours = "08:00-18:00", to = "lte" }))
  end)

  it("wants all conditions, and takes the first rule that decides", function()
    assert.is_false(decides({ domains = "example.com", ports = 80, to = "lte" }))
    local choose = rules(ctx, {
      { ports = 25, refuse = "no mail" }, { domains = "example.com", to = "lte" }, { ports = 443, to = "fibre" },
    }, otherwise)
    assert.equal("lte", choose(conn(), w.uplinks).name)
    assert.equal("fibre", choose(conn { host = "example.org" }, w.uplinks).name)
    assert.same({ false, "no mail" }, { choose(conn { port = 25 }, w.uplinks) })
    assert.equal("dsl", choose(conn { host = "example.org", port = 80 }, w.uplinks).name)
  end)

  it("sends to an uplink, to several in order, to those with a tag, or where a chooser says", function()
    assert.equal("lte", (says({ to = "lte" })))
    assert.equal("dsl fibre", (says({ to = { "dsl", "fibre" } })))
    assert.equal("fibre", (says({ to = { "dsl", "fibre" } }, nil, { 1, 2 })))
    assert.equal("lte", (says({ to = balance.smooth() }, nil, { 2 })))
    local tagged = rules(ctx, { { tag = "steady" } }, balance.smooth())
    assert.equal("fibre", tagged(conn(), w.uplinks).name)
    assert.equal("rule 1", select(2, says { to = "lte" }))
    assert.equal("vpn", select(2, says { to = "lte", reason = "vpn" }))
    assert.same({ timeout = 3 }, select(3, says { to = "lte", timeout = 3 }))
  end)

  it("continues with the next rule when its uplinks cannot serve, or refuses if it is strict", function()
    assert.same({ "dsl", "otherwise" }, { says({ to = "fibre" }, nil, { 2, 3 }) })
    assert.same({ false, "rule 1: its uplinks cannot serve" }, { says({ to = "fibre", strict = true }, nil, { 2, 3 }) })
    assert.same({ false, "vpn: its uplinks cannot serve" },
      { says({ tag = "steady", strict = true, reason = "vpn" }, nil, { 2 }) })
  end)

  it("warns of uplinks that are not there", function()
    assert.same({ "lte" }, { (says { to = { "ltee", "lte" } }) })
    assert.same({ "warn: rules: unknown uplink ltee (known: fibre, lte, dsl)" }, lines)
  end)

  it("says what is wrong, in which rule", function()
    local HERE = "^tests/lua/rules_spec.lua:%d+: rule 2: "
    local function message(rule)
      return kit.fails(function() rules(ctx, { { to = "lte" }, rule }, otherwise) end)
    end
    assert.truthy(message { too = "lte" }:find "rules_spec.lua:%d+: rule 2: unknown option 'too' %(known: cidrs,")
    assert.truthy(message { ports = 25 }:find(HERE .. "expected one of to, tag and refuse, got none"))
    assert.truthy(message { to = "lte", tag = "x" }:find "rule 2: expected one of to, tag and refuse, got several")
    assert.truthy(message { ports = "http", to = "lte" }:find "rule 2: ports: expected numbers, or spans such as")
    assert.truthy(message { ports = "99-22", to = "lte" }:find "rule 2: ports: expected")
    assert.truthy(message { ports = "80-", to = "lte" }:find "rule 2: ports: expected")
    assert.truthy(message { proto = "sock5", to = "lte" }:find "rule 2: proto: expected socks4, socks5, .* got \"sock5\"")
    assert.truthy(message { domains = {}, to = "lte" }:find "rule 2: domains: expected one at least")
    assert.truthy(message { timeout = -1, to = "lte" }:find "rule 2: timeout: expected seconds, above 0")
    assert.truthy(kit.fails(function() rules(ctx, { ports = 25, refuse = "no" }, otherwise) end):find "a list of rules, {")
    assert.truthy(message { users = { 5 }, to = "lte" }:find "rule 2: users: expected a text or a list of texts, got number")
    assert.truthy(message { to = 5 }:find "rule 2: to: expected an uplink's name")
    assert.truthy(message { domains = { "a..b" }, to = "lte" }:find(HERE .. "ctx.domains: item 1: expected a domain name"))
    assert.truthy(message { hours = "8-9", to = "lte" }:find(HERE .. "hours: expected hours such as"))
    assert.truthy(message(5):find "rule 2: expected a table of options, got number")
    assert.truthy(kit.fails(function() rules(ctx, 5, otherwise) end):find "rules: expected a list of rules, got number")
    assert.truthy(kit.fails(function() rules(ctx, {}) end):find "rules: expected a chooser for what no rule decides, got nil")
  end)
end)
