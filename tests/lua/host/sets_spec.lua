local sets = require "steerway.host.sets"
local kit = require "kit"

local match = sets.match

-- A list in a file; messages about it go to said.
local function file(text, said)
  local function read(path)
    assert.equal("list.txt", path)
    return text
  end
  return { file = "list.txt" }, { read = read, log = said and function(level, line) said[#said + 1] = level .. ": " .. line end }
end

local function holds(set, inside, outside)
  for _, text in ipairs(inside) do
    assert.is_true(match(set, text), text)
  end
  for _, text in ipairs(outside) do
    assert.is_false(match(set, text), text)
  end
end

-- Bytes of garbage that this many calls leave in interpreted code.
local function garbage(f, n)
  jit.off()
  jit.flush()
  for _ = 1, 10 do f() end
  collectgarbage()
  collectgarbage "stop"
  local before = collectgarbage "count"
  for _ = 1, n do f() end
  local after = collectgarbage "count"
  collectgarbage "restart"
  jit.on()
  return (after - before) * 1024
end

describe("a set of domains", function()
  it("holds a name and all below it", function()
    holds(sets.domains { "example.com", "b.example.org", "local" },
      { "example.com", "www.example.com", "a.b.c.example.com", "EXAMPLE.com", "www.example.COM.", "b.example.org", "local",
        "printer.local" },
      { "example.org", "notexample.com", "example.com.evil.net", "com", "", ".", "xample.com", "examplecom", "locale",
        "a.example.org", "192.0.2.1" })
  end)

  it("tells itself from what is below", function()
    holds(sets.domains { "=only.com", ".below.com", "*.star.com", "=both.com", ".both.com" },
      { "only.com", "x.below.com", "x.star.com", "both.com", "x.both.com", "y.x.both.com" },
      { "x.only.com", "below.com", "star.com" })
  end)

  it("takes names in any case, with a dot at their end, and twice", function()
    local set = sets.domains { "Example.COM.", "example.com", "EXAMPLE.com" }
    holds(set, { "example.com", "x.example.com" }, { "com" })
    assert.equal("domains (1)", tostring(set))
  end)

  it("may be empty", function()
    holds(sets.domains {}, {}, { "example.com", "", "." })
    holds(sets.domains(file ""), {}, { "example.com" })
    holds(sets.domains(file "# nothing\n\n  \n"), {}, { "nothing" })
  end)

  it("is read from a file, with comments, blanks, any line ends, and lines as in the file hosts", function()
    local set = sets.domains(file("\239\187\191"
      .. "a.com\r\n  b.com  # the second\n#c.com\n\n\t0.0.0.0 d.com e.com\n::1 f.com\n=g.com"))
    holds(set, { "a.com", "x.a.com", "b.com", "d.com", "e.com", "f.com", "g.com" },
      { "c.com", "0.0.0.0", "x.d.com", "x.g.com", "second" })
    assert.equal("domains (6)", tostring(set))
  end)

  it("converts names to ASCII, those asked for as well", function()
    local set = sets.domains { "bücher.example", "=BÜRO.example", "xn--fa-hia.example" }
    holds(set, { "bücher.example", "xn--bcher-kva.example", "www.Bücher.EXAMPLE", "büro.example", "faß.example" },
      { "x.büro.example", "bucher.example", "\255\254" })
    holds(sets.domains { "example.com" }, { "é.example.com" }, { "é.example.org" })
  end)

  it("leaves out what it does not understand in a file, and says so once", function()
    local said = {}
    local set = sets.domains(file("a.com\n\nhttp://x.com/ \n@@||y.com^\nb.com c.com\nd.com\n", said))
    holds(set, { "a.com", "d.com" }, { "x.com", "y.com", "b.com", "c.com" })
    assert.same({ "warn: list list.txt: lines that are not understood, and left out: 3, the first is line 3: http://x.com/" },
      said)
    sets.domains(file("a.com\n", said))
    assert.equal(1, #said)
  end)

  it("holds names up to 253 bytes", function()
    local long = ("a."):rep(124) .. "abcde"
    assert.equal(253, #long)
    holds(sets.domains { long }, { long }, { "x." .. long })
    holds(sets.domains { "abcde" }, { long }, { ("a"):rep(300) .. ".abcde" })
    assert.truthy(kit.fails(sets.domains, { "x" .. long }):find "expected a domain name")
  end)

  it("says what is wrong, and where", function()
    local expected = ": expected a domain name such as example.com, got "
    for _, wrong in ipairs { "a..b", ".", "=", "*.", "a/b", "..a", "a:b", "=.a" } do
      assert.equal(('ctx.domains: item 2%s"%s"'):format(expected, wrong), kit.fails(sets.domains, { "ok.com", wrong }))
    end
    for _, nothing in ipairs { "!x", "payload:", "IP-CIDR,10.0.0.0/8" } do
      assert.equal(('ctx.domains: item 2%s"%s"'):format(expected, nothing), kit.fails(sets.domains, { "ok.com", nothing }))
    end
    assert.equal("ctx.domains: list.txt:2: no line of it is understood; the first is '<html>'",
      kit.fails(sets.domains, file "# a page\n<html>\n<body>\n"))
    assert.equal('ctx.domains: item 1: expected a text without blanks, got "a b"', kit.fails(sets.domains, { "a b" }))
    assert.equal("ctx.domains: item 1: expected a text without blanks, got number", kit.fails(sets.domains, { 5 }))
    assert.equal("ctx.domains: expected a list of texts or { file = … }, got string", kit.fails(sets.domains, "a.com"))
    assert.equal("ctx.domains: expected a list of texts or { file = … }, got a key 'x'", kit.fails(sets.domains, { x = "a" }))
    assert.equal("ctx.domains: file: expected a path, got number", kit.fails(sets.domains, { file = 5 }))
    assert.equal("ctx.domains: x: no such file",
      kit.fails(sets.domains, { file = "x" }, { read = function(path) return nil, path .. ": no such file" end }))
  end)

  it("answers as a plain comparison would, for thousands of names", function()
    local draw = kit.draws(7)
    local labels_there = { "a", "b", "ab", "com", "net", "x-1", "long-label" }
    local function label() return labels_there[1 + math.floor(draw() * 7)] end
    local function name()
      local labels = {}
      for i = 1, 1 + math.floor(draw() * 5) do labels[i] = label() end
      return table.concat(labels, ".")
    end
    local list, exact, below = {}, {}, {}
    for i = 1, 400 do
      local n, how = name(), math.floor(draw() * 3)
      list[i] = (how == 0 and "=" or how == 1 and "." or "") .. n
      exact[n] = exact[n] or how ~= 1
      below[n] = below[n] or how ~= 0
    end
    local set = sets.domains(list)
    for _ = 1, 5000 do
      local host = name()
      local expected = exact[host] or false
      local parent = host:match "^[^.]+%.(.+)$"
      while parent do
        expected = expected or below[parent] or false
        parent = parent:match "^[^.]+%.(.+)$"
      end
      assert.equal(expected, match(set, host), host)
    end
  end)

  it("holds a hundred thousand names", function()
    local list = {}
    for i = 1, 100000 do list[i] = ("name%d.zone%d.org"):format(i, i % 977) end
    local set = sets.domains(list)
    assert.equal("domains (100000)", tostring(set))
    for i = 1, 100000, 37 do
      assert.is_true(match(set, "www." .. list[i]))
      assert.is_false(match(set, ("name%d.zone%d.org"):format(i, (i + 1) % 977)))
    end
  end)

  it("leaves no garbage", function()
    local set = sets.domains { "example.com", "example.org" }
    assert.equal(0, garbage(function()
      return match(set, "www.example.org") and match(set, "www.example.net")
    end, 1000))
  end)
end)

describe("a set of address ranges", function()
  it("holds ranges and addresses of both families", function()
    local set = sets.cidrs { "10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1", "198.51.100.128/25" }
    holds(set,
      { "10.0.0.0", "10.255.255.255", "192.0.2.1", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "::1",
        "198.51.100.128", "198.51.100.255", "[2001:db8::5]", "::ffff:10.1.2.3", "2001:DB8::A" },
      { "9.255.255.255", "11.0.0.0", "192.0.2.0", "192.0.2.2", "2001:db7:ffff::", "2001:db9::", "::2", "198.51.100.127",
        "example.com", "", "10.0.0", "10.0.0.1.2", "10.0.0.256", "1e1.0.0.0", "[10.0.0.1", ("1"):rep(100) })
    assert.equal("cidrs (5)", tostring(set))
  end)

  it("holds all of a family, or one address", function()
    holds(sets.cidrs { "0.0.0.0/0" }, { "0.0.0.0", "255.255.255.255", "1.2.3.4" }, { "::", "2001:db8::1" })
    holds(sets.cidrs { "::/0" }, { "::", "2001:db8::1", "1.2.3.4" }, {})
    holds(sets.cidrs { "192.0.2.7/32", "2001:db8::7/128" }, { "192.0.2.7", "2001:db8::7" }, { "192.0.2.8", "2001:db8::8" })
  end)

  it("passes over the bits behind the prefix, and a scope", function()
    holds(sets.cidrs { "192.168.1.77/24", "fe80::1/64" }, { "192.168.1.1", "fe80::99%eth0", "[fe80::2%wlan0]" },
      { "192.168.2.1" })
  end)

  it("makes one of ranges that overlap", function()
    local set = sets.cidrs { "10.1.0.0/16", "10.0.0.0/8", "10.2.3.4", "11.0.0.0/8", "10.0.0.0/8" }
    assert.equal("cidrs (2)", tostring(set))
    holds(set, { "10.1.2.3", "10.255.0.1", "11.1.1.1" }, { "12.0.0.0", "9.9.9.9" })
  end)

  it("is read from a file", function()
    local set = sets.cidrs(file "10.0.0.0/8 # private\r\n\n# x\n  2001:db8::/32\n192.0.2.1")
    assert.equal("cidrs (3)", tostring(set))
    holds(set, { "10.1.1.1", "2001:db8::1", "192.0.2.1" }, { "11.1.1.1" })
    holds(sets.cidrs(file ""), {}, { "10.0.0.1" })
  end)

  it("says what is wrong, and where", function()
    local expected = ": expected an address or a range such as 10.0.0.0/8 or 2001:db8::/32, got "
    for _, wrong in ipairs { "10.0.0.0/33", "2001:db8::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/x", "example.com",
      "10.0.0.0/8/8", "256.0.0.0/8", "10.0.0.0/-1", "/8", "1.2.3.4.5", "1..2.3", "010.0.0.0/8", "DOMAIN,a.com" } do
      assert.equal(('ctx.cidrs: item 2%s"%s"'):format(expected, wrong), kit.fails(sets.cidrs, { "10.0.0.0/8", wrong }))
    end
    assert.equal("ctx.cidrs: list.txt:1: no line of it is understood; the first is '10.0.0.0/8 11.0.0.0/8'",
      kit.fails(sets.cidrs, file "10.0.0.0/8 11.0.0.0/8\n"))
  end)

  it("leaves out what it does not understand in a file, and says so once", function()
    local said = {}
    holds(sets.cidrs(file("1.1.1.1\n10.0.0.0/8 11.0.0.0/8\nx\n", said)), { "1.1.1.1" }, { "10.0.0.1" })
    assert.same({ "warn: list list.txt: lines that are not understood, and left out: 2, the first is line 2: "
      .. "10.0.0.0/8 11.0.0.0/8" }, said)
  end)

  it("answers as a plain comparison would, for thousands of ranges", function()
    local function dotted(ip)
      return ("%d.%d.%d.%d"):format(ip / 2 ^ 24, ip / 2 ^ 16 % 256, ip / 256 % 256, ip % 256)
    end
    local draw = kit.draws(11)
    local list, ranges = {}, {}
    for i = 1, 3000 do
      local ip = math.floor(draw() * 2 ^ 32)
      local bits = i <= 40 and 6 + math.floor(draw() * 10) or 24 -- few large ones, many small ones
      local size = 2 ^ (32 - bits)
      list[i] = dotted(ip) .. "/" .. bits
      ranges[i] = { ip - ip % size, ip - ip % size + size }
    end
    local set = sets.cidrs(list)
    local hits = 0
    for _ = 1, 2000 do
      local ip = math.floor(draw() * 2 ^ 32)
      local expected = false
      for i = 1, #ranges do
        expected = expected or ip >= ranges[i][1] and ip < ranges[i][2]
      end
      hits = hits + (expected and 1 or 0)
      assert.equal(expected, match(set, dotted(ip)))
    end
    assert.is_true(hits > 50 and hits < 1950)
  end)

  it("leaves no garbage", function()
    local set = sets.cidrs { "10.0.0.0/8", "2001:db8::/32" }
    assert.equal(0, garbage(function()
      return match(set, "10.1.2.3") and match(set, "192.0.2.1")
    end, 1000))
  end)
end)

describe("any set", function()
  local set = sets.domains { "example.com" }

  it("is closed", function()
    assert.is_false(getmetatable(set))
    assert.is_nil(next(set))
    assert.truthy(kit.fails(function() set.x = 1 end):find "a set cannot be changed")
    assert.truthy(kit.fails(function() return set["example.com"] end):find(
      "sets_spec.lua:%d+: a set has no fields: ctx.match%(set, text%) tells whether it holds a text"))
    assert.truthy(kit.fails(sets.domains, set):find(
      "ctx.domains: expected a list of texts or { file = … }, got a set or another object of ctx", 1, true))
  end)

  it("is what match expects, and a text", function()
    assert.truthy(kit.fails(match, {}, "x"):find "ctx.match: expected a set that ctx.domains or ctx.cidrs made, got table")
    assert.truthy(kit.fails(match, nil, "x"):find "ctx.match: expected a set that ctx.domains or ctx.cidrs made, got nil")
    assert.truthy(kit.fails(match, set, 5):find "ctx.match: expected a name or an address, got number")
  end)
end)
