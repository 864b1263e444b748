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

  -- LuaJIT's hash of a number (hashrot in lj_tab.h); a small table uses its lowest bits.
  local bit, double = require "bit", require("ffi").new "union { double number; int32_t half[2]; }"
  local function hash_of(number)
    double.number = number
    local lo, hi = double.half[0], bit.lshift(double.half[1], 1)
    lo = bit.bxor(lo, hi)
    hi = bit.rol(hi, 14)
    lo = bit.tobit(lo - hi)
    hi = bit.rol(hi, 5)
    hi = bit.bxor(hi, lo)
    return bit.tobit(hi - bit.rol(lo, 13))
  end

  -- The longest time between two checks of the hook that stops a call. The best of some runs, since a busy machine
  -- may delay any step.
  local function longest_step(f)
    local best = math.huge
    for _ = 1, 5 do
      local longest, last = 0, os.clock()
      jit.off()
      jit.flush()
      debug.sethook(function()
        local now = os.clock()
        longest, last = math.max(longest, now - last), now
      end, "", 1)
      f()
      debug.sethook()
      jit.on()
      best = math.min(best, longest)
    end
    return best
  end

  it("can be stopped while it puts in keys that all have the same hash", function()
    local t, n, number = {}, 0, 0.5
    local mask = 2 ^ 12 - 1
    while n < 4000 do
      number = number + 1
      if bit.band(hash_of(number), mask) == 7 then
        n = n + 1
        t[number] = n
      end
    end
    local text = state.encode { keys = t, list = { 1, 2, { "x" } } }
    local began = os.clock()
    require("string.buffer").decode(require("string.buffer").encode(t))
    local by_c = os.clock() - began
    local out
    local longest = kit.least(function()
      return longest_step(function() out = state.decode(text) end)
    end, by_c / 3)
    assert.same({ 1, 2, { "x" } }, out.list)
    local again = 0
    for key, value in pairs(out.keys) do
      again = again + (t[key] == value and 1 or 0)
    end
    assert.equal(4000, again)
    assert.is_true(longest < by_c / 3, ("%.1f ms; C takes %.1f ms"):format(longest * 1000, by_c * 1000))
  end)

  local function equal(a, b) -- assert.same takes seconds
    if type(a) ~= "table" or type(b) ~= "table" then
      return a == b
    end
    for key, value in pairs(a) do
      if not equal(value, b[key]) then
        return false
      end
    end
    for key in pairs(b) do
      if a[key] == nil then
        return false
      end
    end
    return true
  end

  local function large(n)
    local t = {}
    for i = 1, n do
      t[i] = { "value-" .. i, i }
      t["key-" .. i] = i
    end
    return t
  end

  it("carries large tables wherever they stand", function()
    local big = large(25000)
    local t = { { list = big }, big = big, [{ "as a key" }] = { [big] = "as a key" }, [2] = false, [0.5] = large(10) }
    local out = state.decode(state.encode(t))
    local keys = 0
    for key, value in pairs(out) do
      if type(key) == "table" then
        assert.same({ "as a key" }, key)
        assert.is_true(equal(big, (next(value))))
        keys = keys + 1
      else
        assert.is_true(equal(t[key], value))
      end
    end
    assert.equal(1, keys)
    assert.is_true(equal(big, out[1].list) and equal(big, out.big))
    assert.is_true(out[2] == false and out[0.5] ~= nil)
  end)

  local function count(value)
    local n = 1
    if type(value) == "table" then
      for _, inner in pairs(value) do
        n = n + count(inner)
      end
    end
    return n
  end

  -- C writes and reads one slice at a time; between two of them a call can be stopped.
  it("writes large tables by slices of 10,000 values", function()
    local list = {}
    for i = 1, 50000 do
      list[i] = i
    end
    for _, t in ipairs { large(25000), { deep = { list, large(8000) } } } do
      local from, slices, most = require("string.buffer").new():set(state.encode(t)), 0, 0
      while #from > 0 do
        slices, most = slices + 1, math.max(most, count(from:decode()))
      end
      assert.is_true(slices > 5)
      assert.is_true(most > 9000 and most <= 10010, most .. " values in a slice")
    end
  end)

  it("refuses more bytes than fit into one text of LuaJIT", function()
    assert.equal("export: more than 8323072 bytes", kit.fails(state.encode, { ("x"):rep(2 ^ 22), { ("y"):rep(2 ^ 22) } }))
    assert.is_string(state.encode { ("x"):rep(2 ^ 22), ("y"):rep(2 ^ 21) })
  end)

  it("carries tables with many number keys", function()
    local t = { [0] = "zero", list = { 1, 2, 3 }, deep = {} }
    for i = 1, 3000 do
      t[i * 7] = i
      t.deep[-i] = { i, [0.5] = "x" }
    end
    assert.same(t, state.decode(state.encode(t)))
    t.deep[5] = print
    assert.truthy(kit.fails(state.encode, t):find "deep%[5%] is a function")
    t.deep[5] = t
    assert.truthy(kit.fails(state.encode, t):find "in a circle")
  end)
end)
