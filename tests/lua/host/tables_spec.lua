local kit = require "kit"
local tables = require "steerway.host.tables"

describe("the table library of a policy", function()
  it("inserts as the library does", function()
    local t = {}
    tables.insert(t, "b")
    tables.insert(t, 1, "a")
    tables.insert(t, 3, "c")
    tables.insert(t, "2", "x")
    tables.insert(t, nil)
    assert.same({ "a", "x", "b", "c" }, t)
    assert.is_false(pcall(tables.insert, t))
    assert.is_false(pcall(tables.insert, t, 1, 2, 3))
    assert.is_false(pcall(tables.insert, t, {}, 2))
    assert.is_false(pcall(tables.insert, 5, 2))
  end)

  it("does not insert far from the list, which would take as long as the way", function()
    for _, at in ipairs { 0, -1, -2 ^ 31, 5, 2 ^ 31 - 1, math.huge, 0 / 0 } do
      local t = { 1, 2, 3 }
      assert.truthy(kit.fails(tables.insert, t, at, "x"):find(
        "table.insert: position %S+ is outside of the list; expected 1 to 4"))
      assert.same({ 1, 2, 3 }, t)
    end
  end)

  it("sorts as the library does, small and large", function()
    for _, n in ipairs { 0, 1, 2, 10, 999, 1000, 1001, 5000 } do
      local a, b = {}, {}
      local draw = kit.draws(n + 1)
      for i = 1, n do
        a[i] = math.floor(draw() * 1000)
        b[i] = a[i]
      end
      table.sort(a)
      tables.sort(b)
      assert.same(a, b)
      local function more(x, y) return x > y end
      table.sort(a, more)
      tables.sort(b, more)
      assert.same(a, b)
    end
    assert.is_false(pcall(tables.sort, 5))
    assert.is_false(pcall(tables.sort, { 1, "x" }))
    assert.is_false(pcall(tables.sort, { 2, 1 }, 5))
  end)

  it("compares a large list in Lua, where a hook can stop it", function()
    local t = {}
    for i = 1, 1001 do
      t[i] = i % 7
    end
    local function greater(a, b)
      return a > b
    end
    for _, less in ipairs { false, greater } do
      local steps = 0
      jit.off() -- compiled code does not check hooks
      jit.flush()
      debug.sethook(function() steps = steps + 1 end, "", 1)
      tables.sort(t, less or nil)
      debug.sethook()
      jit.on()
      assert.is_true(steps > 5000)
    end
  end)

  it("does not leave the comparing to a builtin, which no hook stops", function()
    local t, lines = {}, 0
    for i = 1, 1001 do
      t[i] = i
    end
    debug.sethook(function() lines = lines + 1 end, "l")
    tables.sort(t, rawequal)
    debug.sethook()
    assert.is_true(lines > 500)
  end)

  -- Steps of the interpreter until f is stopped or ends.
  local function steps_of(f, max)
    local steps = 0
    jit.off()
    jit.flush()
    debug.sethook(function()
      steps = steps + 1
      if steps > max then
        debug.sethook()
        error "stopped"
      end
    end, "", 1)
    pcall(f)
    debug.sethook()
    jit.on()
    return steps
  end

  it("can be stopped while it moves what lies beyond a hole", function()
    local t = {}
    for p = 0, 8 do -- the search for a border begins behind the array part of the table, whose size is not known
      for k = 0, 20 do
        t[(2 ^ p + 1) * 2 ^ k] = true
      end
    end
    assert.is_true(#t > 1e6)
    assert.is_true(steps_of(function() tables.insert(t, 1, "x") end, 1000) > 1000)
    assert.is_true(steps_of(function() table.remove(t, 1) end, 1000) > 1000)
    assert.is_true(steps_of(function() tables.sort(t) end, 1000) > 20)
  end)

  it("sorts whatever is compared, and however", function()
    for n = 0, 40 do
      local t = {}
      for i = 1, n do
        t[i] = i % 3
      end
      for _, less in ipairs { function() return true end, function() return false end, rawequal, math.max } do
        local copy = { unpack(t) }
        tables.sort(copy, less)
        table.sort(copy)
        local sorted = { unpack(t) }
        table.sort(sorted)
        assert.same(sorted, copy)
      end
      tables.sort(t)
      for i = 2, n do
        assert.is_true(t[i - 1] <= t[i])
      end
    end
    local words = { "b", "a", "c" }
    tables.sort(words)
    assert.same({ "a", "b", "c" }, words)
    local meta = { __lt = function(a, b) return a[1] < b[1] end }
    local objects = { setmetatable({ 2 }, meta), setmetatable({ 1 }, meta) }
    tables.sort(objects)
    assert.equal(1, objects[1][1])
  end)

  it("says what it cannot sort, at the caller's line", function()
    for text, what in pairs {
      ["cannot compare a number (item 1) with a string (item 2)"] = { 1, "x" },
      ["cannot compare a table with another; expected numbers, texts, or a function(a, b)"] = { {}, {} },
    } do
      local message = kit.fails(function() tables.sort(what) end)
      assert.truthy(message:find("tables_spec.lua:%d+: table.sort: "))
      assert.truthy(message:find(text, 1, true))
    end
  end)

  it("puts together as the library does, few and many", function()
    local t = {}
    for i = 1, 9000 do
      t[i] = i % 2 == 0 and i or "x" .. i
    end
    for _, span in ipairs { {}, { 1 }, { 1, 10 }, { 5, 4 }, { 1, 4096 }, { 1, 4097 }, { 2, 8193 }, { "3", "9000" } } do
      assert.equal(table.concat(t, ", ", span[1], span[2]), tables.concat(t, ", ", span[1], span[2]))
      assert.equal(table.concat(t, nil, span[1], span[2]), tables.concat(t, nil, span[1], span[2]))
    end
    for _, args in ipairs { { t, "", 1, 9001 }, { t, "", 1, 1e9 }, { t, "", 1, math.huge }, { t, "", -1e9, 1 }, { t, {} }, { 5 },
      { t, "", {} }, { { {} } } } do
      assert.is_false((pcall(tables.concat, unpack(args, 1, 4))))
    end
    assert.equal("", tables.concat {})
  end)

  it("finds the largest key as the library does", function()
    for _, t in ipairs { {}, { 1, 2, 3 }, { [10] = 1 }, { [-5] = 1, x = 2 }, { [0.5] = 1 }, { 1, [2 ^ 40] = 2 } } do
      assert.equal(table.maxn(t), tables.maxn(t))
    end
    assert.is_false((pcall(tables.maxn, 5)))
  end)
end)
