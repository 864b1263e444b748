local ctx = require "steerway.host.ctx"
local kit = require "kit"

describe("ctx", function()
  -- The value of the expression in new(ctx).
  local function value(expression, o)
    local text = "return { name = 'p', new = function(ctx) local v = %s return { pick = function() return v end } end }"
    local hooks = kit.load(text:format(expression), o).hooks
    return hooks.pick()
  end

  before_each(function()
    kit.world { { name = "fibre" }, { name = "lte", up = false } }
  end)

  it("has all uplinks, also those that are down", function()
    assert.equal("fibre lte", value "ctx.uplinks[1].name .. ' ' .. ctx.uplinks[2].name")
    assert.equal(2, value "#ctx.uplinks")
  end)

  it("has a hash that is the same everywhere", function()
    -- The values of Jenkins' one-at-a-time.
    assert.equal(0, value "ctx.hash ''")
    assert.equal(0xca2e9442, value "ctx.hash 'a'")
    assert.equal(0x519e91f5, value "ctx.hash 'The quick brown fox jumps over the lazy dog'")
    assert.equal("dir/p.lua:1: ctx.hash: expected a string, got number", kit.fails(value, "ctx.hash(1)"))
    assert.equal("dir/p.lua:1: ctx.hash: expected a string, got nil", kit.fails(value, "ctx.hash()"))
  end)

  it("spreads its hash over the whole range", function()
    local buckets, n = {}, 20000
    for i = 0, 7 do
      buckets[i] = 0
    end
    for i = 1, n do
      local b = math.floor(ctx.hash("host" .. i .. ".example.org") / 2 ^ 29)
      buckets[b] = buckets[b] + 1
    end
    for i = 0, 7 do
      assert.near(n / 8, buckets[i], 250)
    end
  end)

  it("draws at random", function()
    for _ = 1, 100 do
      local r = value "ctx.random()"
      assert.is_true(r >= 0 and r < 1)
    end
    assert.equal(0.25, value("ctx.random()", { random = function() return 0.25 end }))
    local d = value "ctx.random(6)"
    assert.is_true(d >= 1 and d <= 6 and d % 1 == 0)
  end)

  it("logs in three levels, formatted", function()
    local lines = {}
    value("ctx.log.info('n=%d %s', 4, 'x') or ctx.log.warn('100%%') or ctx.log.error('e') or print('p', 1) or 1",
      { log = function(level, text) lines[#lines + 1] = level .. ": " .. text end })
    assert.same({ "info: n=4 x", "warn: 100%", "error: e", "info: p\t1" }, lines)
  end)

  it("tells how to log", function()
    local format = "; the first argument is a format: %d takes a number, %s any value, and %% is a percent sign"
    for call, told in pairs {
      ["ctx.log.warn(5)"] = "ctx.log.warn: expected a text, or a format and its values, got 5",
      ["ctx.log.info()"] = "ctx.log.info: expected a text, or a format and its values, got nil",
      ["ctx.log.info({ 1 })"] = "ctx.log.info: expected a text, or a format and its values, got a table",
      ["ctx.log.info(conn)"] = "ctx.log.info: expected a text, or a format and its values, got nil",
      ["ctx.log:error('x')"] = "ctx.log.error: call it with a dot, ctx.log.error(…), not with a colon",
      ["ctx.log.debug('x')"] = "ctx.log has no field 'debug' (known: info, warn, error)",
      ["ctx.log.wran('x')"] = "ctx.log has no field 'wran'; did you mean 'warn'? (known: info, warn, error)",
      ["ctx.log('x')"] = "ctx.log is not a function: call ctx.log.info(…), ctx.log.warn(…) or ctx.log.error(…)",
      ["ctx.log.info('%d', 'x')"] = "ctx.log.info: bad argument #2 (number expected, got string)" .. format,
      ["ctx.log.info('%s and %s', 1)"] = "ctx.log.info: bad argument #3 (value expected)" .. format,
      ["ctx.log.info('100% sure')"] = "ctx.log.info: bad argument #2 (value expected)" .. format,
      ["ctx.log.info('%s', setmetatable({}, { __tostring = function() error 'mine' end }))"] = "mine",
    } do
      local message = kit.fails(value, call)
      assert.equal("dir/p.lua:1: " .. told, message, call)
    end
  end)

  it("tells where a dot was written in place of a colon", function()
    assert.equal("dir/p.lua:1: hits.add: call it with a colon, hits:add(…)", kit.fails(value, "ctx.counter('hits').add(2)"))
    assert.equal("dir/p.lua:1: level.set: call it with a colon, level:set(…)", kit.fails(value, "ctx.gauge('level').set(2)"))
  end)

  it("raises on names that are not there", function()
    assert.equal("dir/p.lua:1: ctx has no field 'prams'; did you mean 'params'?", kit.fails(value, "ctx.prams"))
    assert.equal("dir/p.lua:1: ctx.params has no field 'x'", kit.fails(value, "ctx.params.x"))
    assert.is_false(value "getmetatable(ctx)")
  end)

  it("tells the time by the engine's clocks", function()
    local w = kit.world { {} }
    w.frame.now = 123.5
    assert.equal(123.5, value "ctx.now()")
    local o = { wall = function() return 86400.75 end }
    assert.equal(86400.75, value("ctx.time()", o))
    assert.equal(86400, value("os.time()", o))
    assert.equal("1970-01-02", value("os.date('!%Y-%m-%d')", o))
    assert.equal("1970-01-01", value("os.date('!%Y-%m-%d', 5)", o))
    assert.equal(os.time { year = 2000, month = 1, day = 1 }, value("os.time { year = 2000, month = 1, day = 1 }", o))
  end)

  it("counts and gauges by numbers that the host keeps", function()
    local ffi = require "ffi"
    local kept, asked = {}, {}
    local o = {
      metric = function(name, gauge)
        asked[#asked + 1] = name .. (gauge and " gauge" or " counter")
        kept[name] = kept[name] or ffi.new "double[1]"
        return kept[name]
      end,
    }
    assert.equal(3, value("(function() local c = ctx.counter 'hits' c:add() c:add(2) return c:value() end)()", o))
    assert.equal(4, value("(function() local c = ctx.counter 'hits' c:add() return c:value() end)()", o))
    assert.equal(7, value("(function() local g = ctx.gauge 'level' g:set(9) g:add(-2) return g:value() end)()", o))
    assert.same({ "hits counter", "hits counter", "level gauge" }, asked)
    assert.equal(4, kept.hits[0])
    assert.equal("dir/p.lua:1: hits:add: a counter only grows, got -1; expected a number from 0, or a gauge",
      kit.fails(value, "ctx.counter('hits'):add(-1)", o))
    assert.equal("dir/p.lua:1: level:set: expected a number, got nil", kit.fails(value, "ctx.gauge('level'):set()", o))
    assert.equal("dir/p.lua:1: ctx.counter: expected a name of letters, digits and _ (63 at most), got \"a b\"",
      kit.fails(value, "ctx.counter 'a b'"))
    assert.equal("dir/p.lua:1: ctx.gauge: no room", kit.fails(value, "ctx.gauge 'x'", {
      metric = function() return nil, "no room" end,
    }))
  end)

  it("has sets, of lists beside the policy", function()
    local o = { files = { ["dir/lists/ads.txt"] = "ads.example\n" } }
    assert.is_true(value("ctx.match(ctx.domains { file = 'lists/ads.txt' }, 'www.ads.example')", o))
    assert.is_false(value("ctx.match(ctx.cidrs { '10.0.0.0/8' }, '11.0.0.0')", o))
    assert.equal('dir/p.lua:1: ctx.domains: item 1: expected a domain name such as example.com, got "a..b"',
      kit.fails(value, "ctx.domains { 'a..b' }"))
    assert.equal("dir/p.lua:1: ctx.match: expected a set that ctx.domains or ctx.cidrs made, got string",
      kit.fails(value, "ctx.match('x', 'y')"))
    for _, path in ipairs { "/etc/passwd", "../x", "lists/../../x", ".." } do
      assert.equal(("dir/p.lua:1: ctx.domains: file '%s': expected a path below the policy's folder"):format(path),
        kit.fails(value, ("ctx.domains { file = '%s' }"):format(path)))
    end
  end)

  it("has sites and tables that forget", function()
    assert.equal("example.co.uk", value "ctx.site 'www.example.co.uk'")
    local w = kit.world { {} }
    w.frame.now = 50
    assert.equal(5, value "(function() local c = ctx.lru(2, 60) c:set('a', 5) return c:get 'a' end)()")
    assert.truthy(kit.fails(value, "ctx.lru(0)"):find "^dir/p.lua:1: ctx.lru: expected a whole number")
  end)
end)
