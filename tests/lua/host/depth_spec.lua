local depth = require "steerway.host.depth"
local kit = require "kit"

-- A C function that calls a Lua function, with the limit on nesting.
local nested = depth.guarded("nested", function(f) return f() end)

-- Levels that are left: nested calls until one is refused.
local function room()
  local n = 0
  local function deeper()
    n = n + 1
    return (nested(deeper))
  end
  depth.pcall(deeper)
  return n - 1
end

describe("depth", function()
  before_each(depth.begin)

  it("is refused beyond 50 levels, at the caller's line", function()
    local function f() local x = nested(f) return x end
    assert.truthy(kit.fails(f):find "depth_spec.lua:%d+: nested: nested too deeply")
    depth.begin()
    assert.equal(50, room())
    assert.equal(50, room())
  end)

  it("is that from before after whatever failed", function()
    for _ = 1, 100 do
      assert.is_false((depth.pcall(nested, error)))
      assert.is_false((depth.resume(coroutine.create(function() nested(error) end))))
      assert.is_false((depth.pcall(depth.wrap(function() nested(error) end))))
      assert.is_false((depth.pcall(depth.resume, 5)))
    end
    assert.equal(50, room())
    nested(function()
      assert.equal(49, room())
      depth.pcall(nested, error)
      assert.equal(49, room())
      depth.wrap(function() assert.equal(48, room()) end)()
      assert.equal(49, room())
    end)
  end)

  it("counts what a coroutine does from where it is resumed", function()
    local function body()
      assert.equal(49, room()) -- begun at the surface
      depth.pcall(coroutine.yield)
      local deep = room() -- resumed from within
      assert.is_false((depth.pcall(function() coroutine.yield() error "x" end)))
      coroutine.yield(deep)
      return room()
    end
    local co = coroutine.create(body)
    depth.resume(co)
    nested(function()
      nested(function()
        depth.resume(co)
        assert.same({ true, 47 }, { depth.resume(co) })
        assert.equal(48, room())
      end)
      assert.equal(49, room())
    end)
    assert.same({ true, 49 }, { depth.resume(co) })
    assert.equal(50, room())
  end)

  it("is not restarted by coroutines suspended in pcall", function()
    local deepest, cos = 0, {}
    for i = 1, 200 do
      cos[i] = depth.wrap(function()
        depth.pcall(coroutine.yield)
        deepest = i
        return cos[i + 1]()
      end)
      cos[i]()
    end
    assert.is_false((depth.pcall(cos[1])))
    assert.equal(50, deepest)
  end)

  it("passes on what resume and wrap do", function()
    local co = depth.wrap(function(a, b)
      local c, d = coroutine.yield(a, nil, b)
      assert.equal(7, c)
      assert.is_nil(d)
      return 1, 2
    end)
    assert.same({ 5, nil, 6 }, { co(5, 6) })
    assert.same({ 1, 2 }, { co(7) })
    assert.truthy(kit.fails(function() co() end):find "depth_spec.lua:%d+: cannot resume dead coroutine")
    local t = {}
    assert.equal(t, select(2, pcall(depth.wrap(function() error(t) end))))
    local failing = depth.wrap(function() error "oh" end)
    assert.truthy(kit.fails(function() failing() end):find "depth_spec.lua:%d+: .*depth_spec.lua:%d+: oh")
    assert.is_false((pcall(depth.wrap, 5)))
    local dead = coroutine.create(type)
    depth.resume(dead, 1)
    assert.same({ false, "cannot resume dead coroutine" }, { depth.resume(dead) })
  end)
end)
