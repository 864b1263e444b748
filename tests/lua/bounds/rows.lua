-- What a policy can reach, what it costs at worst, and what holds that below the time budget. docs/policy-bounds.md is made of
-- these rows, and tests/lua/bounds_spec.lua runs them.
--
-- A row: the names of functions, or "`a .. b`" for what is no function; the cost; the bound; and run(f, w), which makes a function
-- that calls f with the worst arguments that the bound lets in. w is the world: w.ctx, w.conn, w.uplink, w.env.
-- The milliseconds are what one step takes at most that cannot be stopped; the test allows three times as much. No row has more
-- than rows.STEP_MAX_MS.

local rows = { STEP_MAX_MS = 40 }

local section
local function title(text)
  section = text
end

local function row(names, cost, bound, ms, run)
  rows[#rows + 1] = { section = section, names = names, cost = cost, bound = bound, ms = ms, run = run }
end

local MIB = 2 ^ 20
local function list(n, value)
  local t = {}
  for i = 1, n do
    t[i] = value or i
  end
  return t
end

-- #t is a border far beyond the elements.
local function holes()
  local t = {}
  for p = 0, 8 do
    for k = 0, 20 do
      t[(2 ^ p + 1) * 2 ^ k] = true
    end
  end
  return t
end

local function hexadecimal()
  return "0x" .. ("f"):rep(8 * MIB - 2)
end

local function call(...)
  local n, args = select("#", ...), { ... }
  return function(f)
    return function()
      return f(unpack(args, 1, n))
    end
  end
end

-- Run with arguments that are made when the row runs.
local function with(make)
  return function(f, w)
    local args = { make(w) }
    return function()
      return f(unpack(args, 1, 8))
    end
  end
end

title "The language"
row("`a .. b`", "bytes of the result", "a text has 8 MiB at most", 15, function()
  local a, b = ("x"):rep(4 * MIB), ("y"):rep(4 * MIB)
  return function() return a .. b end
end)
row("`a < b` `a <= b`", "bytes that both begin with", "a text has 8 MiB at most", 5, function()
  local a = ("x"):rep(8 * MIB)
  local b = a:sub(1, -2) .. "y"
  return function() return a < b and a <= b end
end)
row("`a == b`", "constant: equal texts are one", "", 1, function()
  local a, b = ("x"):rep(8 * MIB), ("x"):rep(8 * MIB)
  return function() return a == b end
end)
row("`a + b` with texts", "bytes of both texts: 1 to 4 ns each, where they are hexadecimal", "a text has 8 MiB at most", 30, function()
  local a = hexadecimal()
  return function() return a + a end
end)
row("`for i = a, b, c` with texts", "bytes of all three texts", "a text has 8 MiB at most", 40, function()
  local a = hexadecimal()
  return function()
    local n = 0
    for _ = a, a, a do
      n = n + 1
    end
    return n
  end
end)
row("a new text", "where there are twice as many as before: 50 ns for each", "2^20 texts at most, as their table has 12 MiB at most", 35,
  function()
    local kept = {}
    for i = 1, 2 ^ 19 - 50000 do
      kept[i] = "kept" .. i
    end
    return function()
      for i = 1, 60000 do
        kept[-i] = "more" .. i
      end
      return kept
    end
  end)
row("`#t`", "logarithm of the elements", "", 1, function()
  local t = holes()
  return function() return #t end
end)
row("`t[k]` `t[k] = v`", "keys with the same hash; where t grows, all of its elements", "a table has 2^19 keys and 2^20 elements of a list at most; "
  .. "for keys made to have the same hash, the last wall", 25, function()
    local t = {}
    for i = 1, 2 ^ 18 do
      t[i + 0.5] = i
    end
    return function()
      t.more = 1
      return t.more
    end
  end)
row("metamethods", "they are Lua functions, without a call of C", "the budget", 1, function()
  local t = setmetatable({}, { __index = function() while true do end end })
  return function() return t.x end
end)
row("own file", "quadratic in chains of and, or, elseif, in gotos to one label, in names times visible locals", "1 MiB, 2000 times the "
  .. "words goto and break, parsed by pieces of 256 bytes within 40 ms", 20, function(_, w)
    local text = "local a if a then " .. ("elseif a and a or a then "):rep(40000) .. "end"
    return function() return w.compile(text) end
  end)

title "Basic functions"
row("assert error ipairs pairs rawequal type getmetatable setmetatable collectgarbage", "constant", "", 1, call({}, "x"))
row("rawget rawset next", "keys with the same hash; next: free places up to the next key", "a table has 12 MiB at most", 10, function(f)
  local t = list(2 ^ 20)
  for i = 2, 2 ^ 20 do
    t[i] = nil
  end
  return function() return f(t, 1, 2) end
end)
row("select", "number of arguments", "8000, as unpack gives", 1, function(f)
  local t = list(7900)
  return function() return f(2, unpack(t)) end
end)
row("unpack", "results", "8000", 1, with(function() return list(7900), 1, 7900 end))
row("tonumber", "bytes of the text: 2 ns each", "a text has 8 MiB at most", 25, with(function() return ("1"):rep(8 * MIB), hexadecimal() end))
row("tostring", "constant; a __tostring is called without C", "", 1, function(f)
  local t = setmetatable({}, {})
  getmetatable(t).__tostring = function() return (f(t)) end
  return function() return f(t) end
end)
row("pcall xpcall", "constant", "the budget", 1, function(f)
  return function() return f(function() while true do end end, error) end
end)
row("load loadstring", "as the own file", "as the own file", 20, with(function()
  return "local a return " .. ("a and "):rep(170000) .. "a"
end))
row("require", "as the own file; reading it", "as the own file", 20, function(f, w)
  w.files["dir/slow.lua"] = "return {" .. ("[1.5] = a and a, "):rep(60000) .. "}"
  return function() return f "slow" end
end)
row("print", "bytes", "20 lines in 10 s; a text has 8 MiB at most", 25, with(function() return ("x"):rep(8 * MIB - 2), "y" end))

title "string (and methods of texts)"
row("string.byte", "results; bytes of texts as numbers", "8000; a text has 8 MiB at most", 30, with(function()
  return "x", hexadecimal(), hexadecimal()
end))
row("string.len", "constant", "", 1, call(("x"):rep(MIB)))
row("string.char", "arguments, and their bytes", "8000, as unpack gives; more than two texts: 100 bytes each", 5, function(f)
  local t = list(7900, "0x" .. ("0"):rep(96) .. "41")
  return function() return f(unpack(t)) end
end)
row("string.sub", "bytes of the result, and of texts as numbers", "a text has 8 MiB at most", 30, with(function()
  return ("x"):rep(8 * MIB), hexadecimal(), hexadecimal()
end))
row("string.lower string.upper string.reverse", "bytes", "4 MiB", 15, with(function() return ("x"):rep(4 * MIB) end))
row("string.rep", "bytes of the result", "8 MiB; in Lua from 256 KiB on", 20, call("xyz", 2796202))
row("string.format", "bytes of the format and the values: %q 4 ns each; numbers: 3 us each", "format 64 KiB, texts 2 MiB in all, 1000 "
  .. "values; a __tostring is called without C", 15, with(function() return "%q", ("\1"):rep(2 * MIB) end))
row("string.find string.match", "ways in which the pattern may match", "3 million, reckoned beforehand", 25, with(function()
  return ("x"):rep(255), "^x-x-x-y"
end))
row("string.gmatch", "each step as string.match", "3 million ways, reckoned beforehand", 25, function(f)
  local text = ("x"):rep(85)
  return function() return f(text, "x-x-x-y")() end
end)
row("string.gsub", "as string.match; places times what is done at each; text times replacement", "3 million ways and steps at places, 5 "
  .. "million bytes of replacements; nested 50 deep", 25, function(f)
    local cases = { { ("a"):rep(50000), "x*", ("%0"):rep(49) }, { ("a"):rep(1.4e6), "x*", "" }, { ("a"):rep(180000), ".", {} },
      { ("a"):rep(45000), "()", "%1" } }
    return function()
      for i = 1, #cases do
        f(unpack(cases[i]))
      end
    end
  end)

title "table"
row("table.insert table.remove", "elements behind the position, or holes up to #t", "in Lua: the budget", 1, function(f)
  local t = holes()
  return function() return f(t, 1, 5) end
end)
row("table.concat", "elements: 1 us for a number; bytes of the result", "in Lua by pieces of 4096 elements; a text has 8 MiB at most", 20,
  with(function() return list(1e6, 5e-324) end))
row("table.sort", "n log n comparisons, of which each is as `a < b`", "in Lua: the budget", 5, with(function()
  return list(1000, ("x"):rep(8 * MIB))
end))
row("table.maxn", "elements", "in Lua: the budget", 1, with(function() return list(1e6) end))

title "math and bit"
row("math.abs math.acos math.asin math.atan math.atan2 math.ceil math.cos math.cosh math.deg math.exp math.floor math.fmod math.frexp "
  .. "math.ldexp math.log math.log10 math.modf math.pow math.rad math.random math.sin math.sinh math.sqrt math.tan math.tanh",
  "bytes of texts as numbers", "a text has 8 MiB at most", 30, with(function() return hexadecimal(), hexadecimal() end))
row("math.max math.min bit.band bit.bor bit.bxor", "arguments, and their bytes", "8000, as unpack gives; more than two texts: 100 "
  .. "bytes each", 5, function(f)
  local t = list(7900, "0x" .. ("f"):rep(98))
  return function() return f(unpack(t)) end
end)
row("bit.arshift bit.bnot bit.bswap bit.lshift bit.rol bit.ror bit.rshift bit.tobit bit.tohex", "bytes of texts as numbers",
  "a text has 8 MiB at most", 30, with(function() return hexadecimal(), hexadecimal() end))

title "coroutine and os"
row("coroutine.create coroutine.isyieldable coroutine.running coroutine.status coroutine.yield", "constant", "", 1,
  function(f)
    local co = coroutine.create(print)
    return function() return f(f == coroutine.create and print or co) end
  end)
row("coroutine.resume", "what it runs; C's stack", "the budget; nested 50 deep", 1, function(f)
  local function body()
    return f(coroutine.create(body))
  end
  return body
end)
row("coroutine.wrap", "what it runs; C's stack", "the budget; nested 50 deep", 1, function(f)
  local function body()
    return f(body)()
  end
  return body
end)
row("os.clock os.difftime", "constant", "", 1, call(1, 2))
row("os.date", "0.3 us for each %c of the format", "512 bytes", 1, call(("%c"):rep(256), 2 ^ 50))
row("os.time", "30 us for the farthest year; bytes of texts as numbers", "a text has 8 MiB at most, and is read in Lua", 20, with(function()
  local a = hexadecimal()
  return { year = a, month = a, day = a, hour = a, min = a, sec = a }
end))

title "ctx"
row("ctx.hash", "bytes", "in Lua: the budget", 1, with(function() return ("x"):rep(MIB) end))
row("ctx.log.info ctx.log.warn ctx.log.error", "as string.format", "as string.format; 20 lines in 10 s", 15, with(function()
  return "%q", ("\1"):rep(2 * MIB)
end))
row("ctx.random ctx.now ctx.time", "constant", "", 1, call())
row("ctx.every ctx.after", "timers", "1000 timers, in Lua: the budget", 1, function(f)
  return function()
    for _ = 1, 900 do
      f(1e6, print)
    end
  end
end)
row("timer's cancel", "timers", "1000 timers, in Lua: the budget", 1, function(f)
  return f
end)
row("ctx.counter ctx.gauge", "names", "256 names of 63 bytes", 1, function(f)
  return function() return f "name" end
end)
row("counter:value counter:add gauge:value gauge:add gauge:set", "constant", "", 1, call(nil, 1e308))
row("ctx.lru", "constant", "1,000,000 entries", 1, call(1e6, 1))
row("lru:get lru:touch lru:set lru:delete", "as `t[k] = v`", "a table has 2^19 keys at most", 1, function(f, w)
  local lru = w.ctx.lru(1000)
  return function()
    for i = 1, 5000 do
      f(lru, i, i)
    end
  end
end)
row("lru:count lru:each", "entries", "in Lua: the budget", 1, function(f, w)
  local lru = w.ctx.lru(1e5, 1e6)
  for i = 1, 1e5 do
    lru:set(i, i)
  end
  return function() return f(lru) end
end)
row("ctx.site", "constant: 10 us; a longer host is its own site", "253 bytes", 5, with(function() return ("a."):rep(126) .. "com" end))
row("ctx.domains", "names", "in Lua: the budget; files are read by the engine", 10, with(function() return list(30000, "www.example.org") end))
row("ctx.cidrs", "ranges", "in Lua: the budget; files are read by the engine", 10, with(function() return list(30000, "10.0.0.0/8") end))
row("ctx.match", "bytes of the name or address", "253 bytes, or 64", 1, function(f, w)
  local set = w.ctx.domains { "example.org" }
  local name = ("a."):rep(121) .. "example.org"
  return function() return f(set, name) end
end)

title "conn, uplinks, stats"
row("`conn.x`", "bytes of the text", "a host has 255 bytes", 1, function(_, w)
  return function()
    for _, name in ipairs(w.conn_names) do
      local _ = w.conn[name]
    end
  end
end)
row("`uplink.x`", "constant", "", 1, function(_, w)
  return function()
    for _, name in ipairs(w.uplink_names) do
      local _ = w.uplink[name]
    end
  end
end)
row("`stats.x`", "constant", "", 1, function(_, w)
  return function()
    for _, name in ipairs(w.stats_names) do
      local _ = w.stats[name]
    end
  end
end)
row("`conn.x = v` `uplink.x = v`", "bytes of the name, for the complaint", "a text has 8 MiB at most", 15, function(_, w)
  local name = ("x"):rep(4 * MIB)
  return function() w.conn[name] = 1 end
end)

title "The library"
local function chooser(w)
  return function(_, uplinks) return w and uplinks[1] end
end
row("balance.smooth balance.least_connections", "uplinks", "in Lua: the budget", 1, call())
row("balance.least_of balance.weighted_random balance.two_choices balance.rendezvous balance.only balance.tiers balance.fair_share "
  .. "balance.least_latency", "uplinks, and what they call", "in Lua: the budget", 1, function(f, w)
    local made = { pcall(f, chooser(w), chooser(w)) }
    return function() return made[1] and type(made[2]) == "function" and made[2](w.conn, { w.uplink }) end
  end)
row("hours.within", "bytes of the text", "as string.match", 25, call(("x"):rep(5000), ("mon,"):rep(5000)))
row("options.check", "options", "in Lua: the budget", 1, with(function() return "x", list(1e5), { a = "any" } end))
row("quota", "uplinks", "in Lua: the budget", 1, with(function(w) return { inner = chooser(w) } end))
row("sticky", "uplinks; as lru:set", "in Lua: the budget", 1, function(f, w)
  return function()
    return (f(w.ctx, { by = "client", inner = chooser(w) })(w.conn, { w.uplink }))
  end
end)
row("rules", "rules, and their lists", "in Lua: the budget", 10, function(f, w)
  local many = list(3000, { ports = "1-65535", refuse = "x" })
  return function() return f(w.ctx, many, chooser(w)) end
end)

title "A reload"
row("export", "values and their bytes: 120 ns for a value", "500,000 values and 8 MiB, by slices of 10,000 values", 10, function(_, w)
  local t = {}
  for i = 1, 2e5 do
    t[i] = "value-" .. i
  end
  return function() return w.state.encode(t) end
end)
row("import", "values and their bytes: 120 ns for a value; keys with the same hash are put in one by one", "as export", 25, function(_, w)
  local t = {}
  for i = 1, 2e5 do
    t["key-" .. i] = i
  end
  local text = w.state.encode(t)
  t = nil
  collectgarbage()
  return function() return t, w.state.decode(text) end
end)
row("params", "parameters of the policy's schema", "in Lua: the budget", 5, function(_, w)
  local schema = {}
  for i = 1, 2e5 do
    schema["name" .. i] = { type = "number", default = 1 }
  end
  return function() return w.params.check(schema, {}, error) end
end)

return rows
