local lru = require "steerway.host.lru"
local kit = require "kit"

describe("lru", function()
  local now

  local function clock()
    return now
  end

  local function contents(cache)
    local out = {}
    for key, value, age in cache:each() do
      out[#out + 1] = ("%s=%s@%g"):format(key, value, age)
    end
    return table.concat(out, " ")
  end

  before_each(function()
    now = 100
  end)

  it("remembers", function()
    local c = lru.new(3, nil, clock)
    c:set("a", 1)
    c:set("b", false)
    assert.equal(1, c:get "a")
    assert.is_false(c:get "b")
    assert.is_nil(c:get "c")
    assert.is_nil(c:get(nil))
    assert.equal(2, c:count())
    c:set("a", 2)
    assert.equal(2, c:get "a")
    assert.equal(2, c:count())
  end)

  it("forgets what was not used for longest when it is full", function()
    local c = lru.new(3, nil, clock)
    c:set("a", 1)
    c:set("b", 2)
    c:set("c", 3)
    c:get "a"
    c:set("d", 4)
    assert.equal("c=3@0 a=1@0 d=4@0", contents(c))
    c:touch "c"
    c:set("e", 5)
    assert.equal("d=4@0 c=3@0 e=5@0", contents(c))
    c:set("d", 6)
    c:set("f", 7)
    assert.equal("e=5@0 d=6@0 f=7@0", contents(c))
  end)

  it("forgets what is too old", function()
    local c = lru.new(10, 60, clock)
    c:set("a", 1)
    now = 130
    c:set("b", 2)
    assert.equal(1, c:get "a") -- does not make it younger
    now = 159.9
    assert.equal(1, c:get "a")
    now = 160
    assert.is_nil(c:get "a")
    assert.equal("b=2@30", contents(c))
    assert.equal(2, c:touch "b")
    now = 219
    assert.equal(2, c:get "b")
    c:set("c", 3)
    now = 220
    assert.is_nil(c:touch "b")
    assert.equal(1, c:count())
  end)

  it("deletes", function()
    local c = lru.new(2, nil, clock)
    c:set("a", 1)
    c:set("b", 2)
    c:delete "a"
    c:delete "a"
    c:delete(nil)
    assert.equal("b=2@0", contents(c))
    c:set("c", 3)
    c:set("d", 4)
    assert.equal("c=3@0 d=4@0", contents(c))
  end)

  it("takes one entry, too, and keys of any kind", function()
    local c, key = lru.new(1, nil, clock), {}
    c:set(key, "t")
    assert.equal("t", c:get(key))
    c:set(5, "n")
    assert.is_nil(c:get(key))
    c:set(true, "b")
    assert.equal("b", c:get(true))
    assert.equal(1, c:count())
  end)

  it("behaves as a list that is kept in order would", function()
    local draw = kit.draws(5)
    local c, list = lru.new(8, 20, clock), {} -- list: { key, value, born }, least used first
    local function take(key)
      for i, e in ipairs(list) do
        if e[1] == key then return table.remove(list, i) end
      end
    end
    local function alive(e) return now - e[3] < 20 end
    for _ = 1, 20000 do
      now = now + draw() * 3
      local key, what = math.floor(draw() * 16), draw()
      local e = take(key)
      if e and not alive(e) then e = nil end
      if what < 0.4 then
        assert.equal(e and e[2] or nil, c:get(key))
        if e then list[#list + 1] = e end
      elseif what < 0.5 then
        assert.equal(e and e[2] or nil, c:touch(key))
        if e then list[#list + 1] = { key, e[2], now } end
      elseif what < 0.9 then
        -- An expired entry takes room until it is accessed.
        c:count()
        local kept = {}
        for _, other in ipairs(list) do if alive(other) then kept[#kept + 1] = other end end
        list = kept
        if not e and #list == 8 then table.remove(list, 1) end
        c:set(key, now)
        list[#list + 1] = { key, now, now }
      else
        c:delete(key)
      end
    end
    local expected = {}
    for _, other in ipairs(list) do
      if alive(other) then expected[#expected + 1] = ("%s=%s@%g"):format(other[1], other[2], now - other[3]) end
    end
    assert.equal(table.concat(expected, " "), contents(c))
  end)

  it("leaves no garbage once it is full", function()
    local c = lru.new(100, 60, clock)
    local function churn()
      for i = 1, 1000 do
        c:set(i, i)
        c:get(i - 50)
      end
    end
    jit.off()
    churn()
    collectgarbage()
    collectgarbage "stop"
    local before = collectgarbage "count"
    churn()
    local after = collectgarbage "count"
    collectgarbage "restart"
    jit.on()
    -- Keys that come and go sometimes make Lua rebuild its table.
    assert.is_true((after - before) * 1024 < 40000, tostring((after - before) * 1024))
  end)

  it("says what it expects, and is closed", function()
    local shown = { ["5"] = '"5"' }
    for _, wrong in ipairs { 0, -1, 1.5, 1e7, "5" } do
      local expected = "ctx.lru: expected a whole number of entries from 1 to 1000000, got " .. (shown[wrong] or wrong)
      assert.truthy(kit.fails(lru.new, wrong, nil, clock):find(expected, 1, true))
    end
    assert.truthy(kit.fails(lru.new, 5, 0, clock):find "ctx.lru: expected seconds to live, above 0, or nil, got 0")
    assert.truthy(kit.fails(lru.new, 5, 0 / 0, clock):find "expected seconds to live")
    local c = lru.new(5, nil, clock)
    assert.truthy(kit.fails(c.set, c, nil, 1):find "lru:set: expected a key, got nil")
    assert.truthy(kit.fails(c.set, c, 0 / 0, 1):find "lru:set: expected a key, got %-?nan")
    assert.truthy(kit.fails(c.set, c, "a", nil):find "lru:set: expected a value, got nil; delete%(key%) removes one")
    for _, method in ipairs { "get", "touch", "set", "delete" } do
      assert.truthy(kit.fails(function() c[method]("a", 1) end):find(
        ("lru_spec.lua:%%d+: lru.%s: call it with a colon, lru:%s%%(…%%)"):format(method, method)), method)
    end
    assert.is_false(getmetatable(c))
    assert.truthy(kit.fails(function() c.x = 1 end):find "use set")
    assert.equal("lru (0 of 5)", tostring(c))
  end)

  it("visits each entry once, whatever the loop does to them", function()
    for _, what in ipairs { "get", "touch", "delete" } do
      local c, visited = lru.new(10, nil, clock), {}
      for i = 1, 6 do
        c:set(i, i * 10)
      end
      for key in c:each() do
        visited[#visited + 1] = key
        c[what](c, key)
      end
      assert.same({ 1, 2, 3, 4, 5, 6 }, visited, what)
      assert.equal(what == "delete" and 0 or 6, c:count())
    end
    local c, visited = lru.new(10, nil, clock), {}
    for i = 1, 4 do
      c:set(i, i)
    end
    for key in c:each() do
      visited[#visited + 1] = key
      c:delete(key + 1) -- a key that was not added yet
      c:set("new" .. key, 0)
    end
    assert.same({ 1, 3 }, visited)
  end)
end)
