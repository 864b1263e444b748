local bounds = require "steerway.host.bounds"
local kit = require "kit"

local find, match = bounds.find(string.find), bounds.matching("match", string.match)
local gmatch, gsub = bounds.matching("gmatch", string.gmatch), bounds.gsub(string.gsub)

-- Well above the slowest machine that builds this, with or without a sanitizer; without bounds it takes minutes.
local SOON_S = 3

describe("bounds of pattern matching", function()
  local slow = {
    { "x-x-x-y", "x" }, { "x*x*x*x*y", "x" }, { ".-.-.-.-.-.-y", "x" }, { "^.-.-.-.-.-y", "x" }, { "%b()", "(" },
    { "[^y]+[x-]+z", "x" }, { "%s+$", " ", "x" }, { "(.-)%1y", "x" }, { ("a?"):rep(25) .. ("a"):rep(25) .. "b", "a" },
    { "%%+%%+%%+x", "%" }, { "[]x]+[]x]+[]x]+y", "]" }, { "x+x+x+[", "x" },
  }
  for _, case in ipairs(slow) do
    it("stops or finishes " .. case[1], function()
      local start = os.clock()
      local refused = 0
      for _, len in ipairs { 10, 50, 100, 200, 400, 1000, 5000, 20000, 1e5, 1e6 } do
        local text = case[2]:rep(len) .. (case[3] or "")
        for _, f in ipairs { find, match, function(s, p) return gsub(s, p, "") end } do
          local ok, message = pcall(f, text, case[1])
          if not ok and message:find "is too long for this pattern; it may be matched in more than 3e%+06 ways" then
            refused = refused + 1
          end
        end
      end
      assert.is_true(os.clock() - start < SOON_S, "took " .. os.clock() - start)
      assert.is_true(refused > 0)
    end)
  end

  it("names the function, the length and the caller's line", function()
    local message = kit.fails(function() local _ = find(("x"):rep(5000), "x-x-x-y") end)
    assert.truthy(message:find "bounds_spec.lua:%d+: string.find: a text of 5000 bytes is too long for this pattern")
    message = kit.fails(function() local _ = gmatch(("x"):rep(5000), "x-x-x-y") end)
    assert.truthy(message:find "bounds_spec.lua:%d+: string.gmatch: a text of 5000")
  end)

  local longest_host = ("abcdefgh."):rep(28) .. "com" -- 255 bytes
  for _, pattern in ipairs { "%.([^.]+)%.([^.]+)$", "^([%w-]+)%.([%w-]+)%.([%w-]+)%.?$", "^(.-)%.(.*)$", "%.com$", "^www%.",
    "^%d+%.%d+%.%d+%.%d+$", "^%s*(.-)%s*$", "[%w-]+%.%a+$", "^%[(.-)%]:(%d+)$" } do
    it("lets a host name be matched by " .. pattern, function()
      assert.equal(255, #longest_host)
      assert.equal(longest_host:match(pattern), match(longest_host, pattern))
    end)
  end

  it("lets a long text be cut into lines and words", function()
    local text = ("word other\n"):rep(1e5)
    local lines, words = 0, 0
    for _ in gmatch(text, "[^\n]+") do lines = lines + 1 end
    for _ in gmatch(text, "(%S+)") do words = words + 1 end
    assert.equal(1e5, lines)
    assert.equal(2e5, words)
    assert.equal(1e5, select(2, gsub(text, "\n", "")))
  end)

  -- A text of the first length is accepted, and one of the second is not.
  local limits = {
    { "x-x-x-y", 85, 120 }, { "^x-x-x-y", 250, 400 }, { "(.-)%1y", 250, 400 }, { "%b()", 2400, 2600 },
    { "(x+)(x+)y", 180, 250 }, { "((x+)(x+))", 1500, 2600 }, { "x+y+x+z", 2100, 2600 }, { "x?x?x?x?x?x?x?x?y", 9000, 2e5 },
    { "x+%f[y]", 2000, 2600 }, { "x+$", 2400, 2600 }, { "[%a.]+x+y", 250, 400 }, { "x+x*", 250, 3500 },
  }
  for _, case in ipairs(limits) do
    it("refuses longer text for " .. case[1] .. " than ends soon", function()
      assert.is_true((pcall(match, ("x"):rep(case[2]), case[1])))
      assert.is_false((pcall(match, ("x"):rep(case[3]), case[1])))
    end)
  end

  -- Each took up to 0.9 s on the longest text that was accepted.
  local replacements = {
    { ".", "x", 1e6, 2e6 }, { "(.)", "%1", 2e5, 3e5 }, { "()", "%1", 4e4, 6e4 }, { "()(.)", ("%2"):rep(20), 2000, 4000 },
    { ".", { a = "b" }, 1e5, 3e5 }, { "()", {}, 1e5, 3e5 },
  }
  for _, case in ipairs(replacements) do
    it(("lets no more of %s be replaced than ends soon (%d)"):format(case[1], case[4]), function()
      assert.is_true((pcall(gsub, ("a"):rep(case[3]), case[1], case[2])))
      local message = kit.fails(gsub, ("a"):rep(case[4]), case[1], case[2])
      assert.truthy(message:find "string.gsub: a text of %d+ bytes has too many places for this replacement")
      assert.equal(1000, select(2, gsub(("a"):rep(case[4]), case[1], case[2], 1000)))
    end)
  end

  it("counts what is compared again and again on each way", function()
    for _, between in ipairs { "[" .. ("b-c"):rep(80) .. "]", ("x"):rep(50) .. "y", ("()"):rep(20) .. "y" } do
      assert.is_true((pcall(match, ("x"):rep(300), "x-" .. between)))
      assert.is_false((pcall(match, ("x"):rep(2000), "x-" .. between)))
    end
    assert.is_true((pcall(match, ("x"):rep(2000), "x-y")))
  end)

  it("treats '^' as gmatch does", function()
    local text = ("x"):rep(1000)
    assert.is_true((pcall(find, text, "^x-x-y")))
    assert.is_false((pcall(find, text, "x-x-y")))
    assert.is_false((pcall(gmatch, text, "^x-x-y")))
  end)

  it("does not count what a pattern only quotes", function()
    local text = ("x"):rep(1e5)
    for _, pattern in ipairs { "[*+-]", "[]*+-]", "[^]*+?-]", "%*%+%-%?", "[%]*+-]", "x%.%-", "^x[a-z]$", "%f[*+-]x" } do
      assert.is_true(pcall(match, text, pattern), pattern)
    end
  end)

  it("leaves the library's own complaints as they are", function()
    for _, pattern in ipairs { "[", "[^", "[a", "[%", "%", "%b", "%bx", "%f", "%fx", "(", ")", "(()", "%1" } do
      assert.same({ pcall(string.find, "x", pattern) }, { pcall(find, "x", pattern) })
    end
    assert.is_false(pcall(find))
    assert.is_false(pcall(find, "x"))
    assert.is_false(pcall(find, {}, "x"))
    assert.is_false(pcall(match, "x", {}))
  end)

  it("takes numbers for text, as the library does", function()
    assert.equal("2", match(123, 2))
    assert.equal(2, (find(123, "2")))
    assert.equal(2, (find(123, 2, 1, true)))
  end)

  it("does not keep every pattern it ever saw", function()
    collectgarbage()
    local before = collectgarbage "count"
    for i = 1, 20000 do
      match("x", ("%08d"):format(i):rep(20))
    end
    for i = 1, 100 do
      match("x", ("%08d"):format(i):rep(20000))
    end
    collectgarbage()
    assert.is_true(collectgarbage "count" - before < 500)
  end)

  it("remembers few patterns, and stays right when it forgets", function()
    for i = 1, 1000 do
      assert.equal(1, (find("x" .. i, "x" .. i)))
    end
    assert.is_false(pcall(find, ("x"):rep(5000), "x-x-x-y"))
    for i = 1, 1000 do
      assert.equal(2, (find("ax" .. i, "x" .. i)))
    end
    assert.is_false(pcall(find, ("x"):rep(5000), "x-x-x-y"))
  end)

  it("searches plain text, if it is not too much of it", function()
    assert.equal(2, (find("a.b", ".", 1, true)))
    assert.equal(1e6, (find(("x"):rep(1e6 - 1) .. "y", "y", 1, true)))
    local message = kit.fails(find, ("a"):rep(1e6), ("a"):rep(1e5) .. "b", 1, true)
    assert.truthy(message:find "string.find: a text of 1000000 bytes is too long to look for 100001 bytes in it")
  end)

  it("replaces by no more than ends soon", function()
    local text, with = ("a"):rep(40000), ("%0"):rep(40000)

    assert.truthy(kit.fails(gsub, text, "x*", with):find
      "string.gsub: a replacement of 80000 bytes is too long for a text of 40000 bytes")
    assert.equal(40000 * 100, #gsub(text, "a", ("b"):rep(100)))
    assert.equal(39999 + 80000, #gsub(text, "a", with:gsub("%%0", "bb"), 1))
    assert.is_false((pcall(gsub, 5, "", ("x"):rep(5e6))))
    assert.same({ "1x3", 1 }, { gsub(123, 2, "x") })
    assert.same({ "1x3", 1 }, { gsub("123", "2", { ["2"] = "x" }, nil) })
    assert.same({ "xx3", 2 }, { gsub(123, "%d", "x", "2") })
    assert.is_false((pcall(gsub, "x", "x")))
  end)
end)
