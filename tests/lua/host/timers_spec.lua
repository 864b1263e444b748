local timers = require "steerway.host.timers"
local kit = require "kit"

describe("timers", function()
  local now, due, t, calls

  local function note(word)
    return function()
      calls[#calls + 1] = word
    end
  end

  -- Run due timers like the engine: one by one, until none is left.
  local function advance(to)
    now = to
    for _ = 1, 100 do
      if due > now then
        return
      end
      t.run()
    end
    error "it never ends"
  end

  before_each(function()
    now, due, calls = 100, math.huge, {}
    t = timers.new(function() return now end, function(when) due = when end)
  end)

  it("calls once after so many seconds", function()
    t.after(2, note "a")
    assert.equal(102, due)
    advance(101.9)
    assert.same({}, calls)
    advance(102)
    assert.same({ "a" }, calls)
    assert.equal(math.huge, due)
    advance(200)
    assert.same({ "a" }, calls)
  end)

  it("calls again and again", function()
    t.every(1.5, note "a")
    advance(101.5)
    advance(102)
    advance(103)
    assert.same({ "a", "a" }, calls)
    assert.equal(104.5, due)
  end)

  it("makes up for missed calls by one", function()
    t.every(1, note "a")
    advance(150.5)
    assert.same({ "a" }, calls)
    assert.equal(151.5, due)
  end)

  it("keeps their order", function()
    t.after(3, note "c")
    t.after(1, note "a")
    t.after(2, note "b")
    t.after(3, note "d")
    assert.equal(101, due)
    advance(103)
    assert.same({ "a", "b", "c", "d" }, calls)
  end)

  it("forgets what is cancelled, also from within", function()
    local cancel = t.after(1, note "a")
    t.after(2, note "b")
    cancel()
    assert.equal(102, due)
    cancel()
    local stop
    stop = t.every(3, function()
      calls[#calls + 1] = "c"
      stop()
    end)
    advance(110)
    assert.same({ "b", "c" }, calls)
    assert.equal(math.huge, due)
  end)

  it("lets a timer make timers", function()
    t.after(1, function()
      t.after(0, note "soon")
      t.after(5, note "later")
    end)
    advance(101)
    assert.same({}, calls) -- not in the same turn
    advance(101.01)
    assert.same({ "soon" }, calls)
    assert.equal(106, due)
  end)

  it("goes on after one that fails", function()
    t.every(1, function() error "no" end)
    t.after(1, note "b")
    now = 101
    assert.is_false((pcall(t.run)))
    assert.equal(101, due)
    t.run()
    assert.same({ "b" }, calls)
    assert.equal(102, due)
  end)

  it("limits the number of timers", function()
    for _ = 1, 1000 do
      t.after(1, print)
    end
    local said = kit.fails(function()
      t.after(1, print)
    end)
    assert.truthy(said:find "timers_spec.lua:%d+: ctx.after: 1000 timers are waiting already") -- at the line that called it
  end)

  it("says what it expects", function()
    for _, wrong in ipairs { 0, -1, 0 / 0, math.huge, "1" } do
      assert.truthy(kit.fails(t.every, wrong, print):find("ctx.every: expected seconds from 0.01 to 31622400, got "
        .. (wrong == "1" and '"1": call it as ctx.every(seconds, function() … end)' or tostring(wrong)), 1, true))
    end
    assert.truthy(kit.fails(t.after, -1, print):find("ctx.after: expected seconds from 0 to 31622400, got -1", 1, true))
    assert.truthy(kit.fails(t.after, print, 1):find("got a function: call it as ctx.after(seconds, function() … end)", 1, true))
    assert.truthy(kit.fails(t.after, 1, 5):find("ctx.after: expected a function, got number", 1, true))
  end)
end)
