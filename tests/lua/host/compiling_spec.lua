local kit = require "kit"
local compiling = require "steerway.host.compiling"

-- Constructs for which LuaJIT's parser takes quadratic time; up to 1 MiB of each is accepted.
local function locals_in_sight(n)
  local open = ("function() local " .. ("a,"):rep(150) .. "a "):rep(40)
  return "return " .. open:gsub("function", "return function"):sub(8) .. ("x() "):rep(n) .. ("end "):rep(40)
end
local SLOW = {
  ["and"] = function(n) return "local a return " .. ("a and "):rep(n) .. "a" end,
  ["or"] = function(n) return "local a return " .. ("a or "):rep(n) .. "a" end,
  ["and or"] = function(n) return "local a return " .. ("a and a or "):rep(n) .. "a" end,
  ["elseif"] = function(n) return "local a if a then " .. ("elseif a then "):rep(n) .. "end" end,
  ["break"] = function(n) return "while true do " .. ("if a then break end "):rep(n) .. "end" end,
  ["goto"] = function(n) return ("goto x "):rep(n) .. "::x::" end,
  ["labels"] = function(n)
    local t = {}
    for i = 1, n do
      t[i] = "::l" .. i .. "::"
    end
    return table.concat(t)
  end,
  ["gotos and labels"] = function(n)
    local t = {}
    for i = 1, n do
      t[i] = "do goto x end ::l" .. i .. ":: "
    end
    return table.concat(t) .. "::x::"
  end,
  ["locals in sight"] = locals_in_sight,
}

describe("compiling", function()
  it("is what load does, by pieces", function()
    local long = "local t = {} " .. ("t[#t + 1] = 'x' "):rep(1000) .. "return t, ..."
    assert.is_true(#long > 4096)
    local t, more = assert(compiling.load(long, "=long", {}))(7)
    assert.equal(1000, #t)
    assert.equal(7, more)
    for _, text in ipairs { "", "return 1", ("\n"):rep(5000) .. "x = = 1", long .. " x", "--[[" .. ("x"):rep(9000) .. "]]",
      "\27LJ" .. ("x"):rep(9000), "#!shebang" .. ("\n"):rep(9000) .. "x y", "return '" .. ("x"):rep(9000) } do
      local f, message = load(text, "@dir/p.lua", "t", {})
      local ours, our_message = compiling.load(text, "@dir/p.lua", {})
      assert.equal(type(f), type(ours))
      assert.equal(message, our_message)
    end
  end)

  for what, text in pairs(SLOW) do
    it("stops at a chain of " .. what .. ", and names the line", function()
      for _, n in ipairs { 10, 1000, 10000, 60000 } do
        local made = "\n\n" .. text(n)
        if #made <= compiling.TEXT_MAX then
          local f, message
          local took = kit.least(function()
            local began = os.clock()
            f, message = compiling.load(made, "@dir/p.lua", {})
            return os.clock() - began
          end, 0.15)
          assert.is_true(took < 0.15, ("%d took %.3f s"):format(n, took))
          if not f then
            assert.truthy(message:find("^dir/p.lua:3: takes too long to compile: expected shorter chains")
              or message:find "^dir/p.lua:3: the words goto and break stand here more than 2000 times"
              or message:find "^dir/p.lua:3: .* too ", message)
          end
        end
      end
    end)
  end

  it("has more time where it is given more", function()
    local text = SLOW["and"](5000)
    assert.truthy(select(2, compiling.load(text, "=x", {}, 0.001)):find "x:1: takes too long to compile")
    assert.truthy(select(2, compiling.load(text, "text", {}, 0.001)):find "load:1: takes too long to compile")
    local _, message = compiling.load(text, "=x", {}, 60)
    assert.is_nil(message)
  end)
end)
