-- Makes the text of a policy from a number (a seed): random calls of everything that a policy can reach, with random
-- and extreme arguments. Every second number adds hot loops. tests/soak/fuzz_policies.c runs them. luajit
-- tests/soak/fuzz_policies.lua SEED prints one.

local hot = dofile(debug.getinfo(1, "S").source:match "^@(.*/)" .. "fuzz_loops.lua")

-- Park and Miller's generator, so that a seed gives the same text everywhere.
local state
local function draw(n)
  state = state * 16807 % 2147483647
  return state % n + 1
end

local function one_of(list)
  return list[draw(#list)]
end

-- The beginning of every text: pools of values, and `try`, which calls and keeps results.
local HEAD = [==[
local S = { "", "x", "0", "a.b", ("a"):rep(255), ("ab"):rep(2000), ("a"):rep(40000), ("x"):rep(2 ^ 20), ("\1"):rep(2 ^ 21),
  ("%0"):rep(20000), "0x" .. ("f"):rep(2 ^ 20), (" "):rep(2 ^ 20) .. "1", ("1"):rep(2 ^ 20), ("x\n"):rep(2 ^ 16), "%d %s", "%99.99f",
  "%q%q", ("%.99e"):rep(99), "*t", "!%c", ("%c"):rep(200), "x*", "(.-)%1", "[^x]+y", "%f[%w]%w+", ".-b", "a?a?a?a?aaaa", "%b()",
  ("[%w]"):rep(50), "^(.*)(.*)$", "((((x))))", "wan1", "www.example.org", "10.0.0.0/8", ("("):rep(5000), "10:00-11:00", "return 1" }
local N = { 0, 1, -1, 2, 3.5, 8, 64, 250, 1000, 7990, 65536, 1e5, 1e6, 1e7, 2 ^ 31 - 1, 2 ^ 31, -2 ^ 31, 2 ^ 32, 2 ^ 52, 2 ^ 53, 1e308,
  5e-324, 1 / 0, -1 / 0, 0 / 0 }
local T = { {}, { 1, 2, 3 }, { "b", "a" }, {}, {}, {}, {}, {}, {}, setmetatable({}, { __mode = "kv" }) }
for i = 1, 3000 do T[4][i] = i * 7919 % 3001 end
for i = 1, 300 do T[5][i] = S[8] end
for p = 0, 8 do for k = 0, 20 do T[6][(2 ^ p + 1) * 2 ^ k] = p end end
for i = 1, 3000 do T[7][i * 2 ^ 32] = i end -- keys with similar hashes
for i = 1, 2e4 do T[8]["k" .. i] = i end
for i = 1, 20000 do T[9][i] = i / 7 end
local budget, last = 0, nil
local function step() budget = budget - 1 if budget < 0 then error "enough" end end
local F = {
  function(...) return ... end, function() return S[8] end, function() error "x" end, function() error {} end,
  function(a, b) return a < b end, function() return true end, coroutine.yield, function() return T[2] end,
  function() step() return last and last() end, function() step() return (("xx"):gsub("x", last or "y")) end,
  function(...) step() return coroutine.wrap(last or print)(...) end,
  function() step() return pcall(coroutine.yield) and last and last() end,
  function() step() return tostring(T[11]) end, function() step() return ("%s"):format(T[11]) end,
  function() step() return T[11] < T[12], T[11] .. T[12], T[11].x, T[11] == T[12] end,
}
local meta = {}
for _, name in ipairs { "__index", "__newindex", "__lt", "__le", "__eq", "__concat", "__tostring", "__call", "__add", "__len", "__unm",
  "__mod", "__pairs", "__gc" } do
  meta[name] = function(a, b) local f = F[#name % #F + 1] return f(a, b) end
end
T[11], T[12] = setmetatable({}, meta), setmetatable({ 1, 2 }, meta)
local C = {}
for i = 1, 20 do C[i] = coroutine.create(F[i % #F + 1]) end
local A, B = {}, {} -- all functions, and by name
local seen = {}
local function walk(t, name)
  if seen[t] then return end
  seen[t] = true
  for k, v in pairs(t) do
    if type(v) == "function" then A[#A + 1] = v B[name .. tostring(k)] = v
    elseif type(v) == "table" then walk(v, v == _G and "" or name .. tostring(k) .. ".") end
  end
end
walk(_G, "")
walk(ctx, "ctx.")
for _, name in ipairs { "balance", "hours", "quota", "rules", "sticky", "options" } do
  local m = require("steerway." .. name)
  if type(m) == "function" then A[#A + 1] = m B[name] = m else walk(m, name .. ".") end
end
table.sort(A, function() return false end)
local kept = 0
local function keep(v)
  kept = kept % 6 + 1
  if type(v) == "string" then S[kept % 6 + 1] = v elseif type(v) == "number" then N[kept] = v
  elseif type(v) == "function" then F[kept], last = v, v elseif type(v) == "table" then T[kept] = v
  elseif type(v) == "thread" then C[kept] = v end
end
local function try(f, ...) keep((select(2, pcall(f, ...)))) end
local W = { function(s) return s end }
]==]

-- Types of arguments: S a text, N a number, T a table, F a function, C a coroutine, P a pattern, A any function.
local SIGNATURES = {
  ["string.rep"] = "SNS SN", ["string.gsub"] = "SPF SPS SPTN SSS", ["string.find"] = "SPN SS SSNN", ["string.match"] = "SPN", ["string.gmatch"] = "SP",
  ["string.format"] = "SSN SNN ST SS", ["string.byte"] = "SNN", ["string.char"] = "NNN", ["string.lower"] = "S", ["string.upper"] = "S",
  ["string.reverse"] = "S", ["string.sub"] = "SNN", ["string.len"] = "S", ["table.concat"] = "TSNN TS T", ["table.insert"] = "TNS TS TT",
  ["table.remove"] = "TN", ["table.sort"] = "TF T", ["table.maxn"] = "T", unpack = "TNN", next = "TS", select = "NSSS",
  tostring = "T", tonumber = "SN", load = "SS", loadstring = "S", pcall = "FST", xpcall = "FFS", error = "SN", ["os.date"] = "SN S",
  ["os.time"] = "T", ["coroutine.resume"] = "CS", ["coroutine.wrap"] = "F", ["coroutine.create"] = "F", ["coroutine.status"] = "C",
  require = "S", setmetatable = "TT", rawset = "TNS", rawget = "TS", ipairs = "T", pairs = "T", print = "SSN",
  ["ctx.hash"] = "S", ["ctx.site"] = "S", ["ctx.lru"] = "NN", ["ctx.every"] = "NF", ["ctx.after"] = "NF", ["ctx.counter"] = "S",
  ["ctx.gauge"] = "S", ["ctx.domains"] = "T", ["ctx.cidrs"] = "T", ["ctx.match"] = "TS", ["ctx.log.info"] = "SSN",
  ["ctx.log.warn"] = "SN", ["ctx.log.error"] = "SS", ["math.random"] = "NN", ["math.fmod"] = "NN", ["math.max"] = "NNN",
  ["bit.tohex"] = "NN", ["bit.lshift"] = "NN", ["balance.least_of"] = "FS", ["balance.only"] = "FF", ["balance.tiers"] = "FF",
  ["balance.rendezvous"] = "FF", ["balance.two_choices"] = "FF", ["balance.fair_share"] = "TT", sticky = "TT", quota = "T",
  rules = "TTF", ["hours.within"] = "SS", ["options.check"] = "STT", assert = "SS", collectgarbage = "S", getmetatable = "T",
}
local NAMES = {}
for name in pairs(SIGNATURES) do
  NAMES[#NAMES + 1] = name
end
table.sort(NAMES)
for i = 1, #NAMES do -- functions in C are the ones that may take long
  for _ = 1, NAMES[i]:find "^string" and 6 or NAMES[i]:find "^[tlu]" and 3 or 0 do
    NAMES[#NAMES + 1] = NAMES[i]
  end
end

local POOLS = { S = 37, N = 25, T = 12, F = 15, C = 20 }
local function pooled(kind)
  return ("%s[%d]"):format(kind, draw(POOLS[kind]))
end

local LARGE = { 7, 8, 9, 10, 11, 12, 13, 14, 18, 21 } -- of S

local ANY = { "S", "N", "T", "F", "C" }
local function argument(kind)
  if draw(8) == 1 then
    return one_of { "nil", "true", "conn", "uplinks[1]", "uplinks", "A[" .. draw(150) .. "]", "ctx", pooled(one_of(ANY)) }
  elseif kind == "S" and draw(2) == 1 then
    return ("S[%d]"):format(one_of(LARGE))
  elseif kind == "P" then
    return ("S[%d]"):format(21 + draw(14))
  end
  return pooled(kind or one_of(ANY))
end

local function arguments(signatures)
  local list, kinds = {}, {}
  for kind in signatures:gmatch "%S+" do
    kinds[#kinds + 1] = kind
  end
  local signature = one_of(kinds)
  for i = 1, draw(6) == 1 and draw(#signature + 1) - 1 or #signature do
    list[i] = argument(signature:sub(i, i))
  end
  return table.concat(list, ", ")
end

-- Constructs that LuaJIT's parser is slow with, and others.
local UNITS = { "a and ", "a or ", "elseif a then ", "goto x ", "do goto x end ", "if a then break end ", "a, ", "a = a ", "x(", "{", "(",
  "not ", "local a ", "[%d] = 1, ", "%d.5, ", "::l%d:: ", "'s%d', ", "function() local a, b, c ", "end ", "a .. ", "-", "while a do " }
local OPENINGS = { "return ", "local a return ", "local a if a then ", "while true do ", "return {", "x(" }
local function chain()
  local unit, size = one_of(UNITS), one_of { 10, 200, 2000, 30000, 90000 }
  local numbered = unit:find("%d", 1, true)
  local made = numbered and ("(function() local q = {} for i = 1, %d do q[i] = (%q):gsub('%%%%d', i) end return table.concat(q) end)()")
    :format(math.min(size, 20000), unit) or ("(%q):rep(%d)"):format(unit, size)
  return ("load(%q .. %s .. %q)"):format(one_of(OPENINGS), made, one_of { "", "a", "end", "}", ")", "a end", "::x::" })
end

local OPERATORS = { "..", "<", "<=", "==", "+", "%", "^", "/", "-", "*" }
local FIELDS = { "host", "weight", "name", "tags", "id", "hots", "port", "client", "x", "interface", "user" }
local statement
local KINDS = {
  function() return ("try(%s)"):format(("B[%q], "):format(one_of(NAMES)) .. pooled "S") end,
  function() return ("try(A[%d], %s)"):format(draw(150), arguments(("SNTFC"):rep(2):sub(draw(5), 9))) end,
  function()
    local a, b, op = argument(), argument(), one_of(OPERATORS)
    return ("try(function() return %s %s %s end)"):format(a, op, b)
  end,
  function() return ("try(function() return #%s, -%s, not %s end)"):format(pooled "T", argument "S", argument "N") end,
  function() return ("try(function() %s[%s] = %s end)"):format(pooled "T", argument(), argument()) end,
  function() return ("try(function() return %s[%s] end)"):format(pooled "T", argument()) end,
  function() return ("try(function() return %s.%s end)"):format(one_of { "conn", "uplinks[1]", "ctx", "uplinks[1].tags" }, one_of(FIELDS)) end,
  function() return ("try(function() %s.%s = %s end)"):format(one_of { "conn", "uplinks[1]", "ctx" }, one_of(FIELDS), argument()) end,
  function() return ("try(function() return %s end)"):format(chain()) end,
  function() return ("for i = 1, %d do %s end"):format(one_of { 2, 3, 10, 30 }, statement()) end,
  function() return ("F[%d] = function(...) step() %s return ... end last = F[%d]"):format(draw(8), statement(), draw(15)) end,
  function() return ("try(coroutine.wrap(function() %s coroutine.yield() %s end))"):format(statement(), statement()) end,
  function() return ("C[%d] = coroutine.create(function() pcall(coroutine.yield, 1) %s end)"):format(draw(20), statement()) end,
  function() return ("try(function() return ((%s):gsub(%s, function(...) step() %s return ... end)) end)")
    :format(pooled "S", argument "P", statement()) end,
  function() return ("try(function() for k, v in pairs(%s) do step() keep(k) keep(v) end end)"):format(pooled "T") end,
  function() return ("try(function() %s[#%s + 1] = %s end)"):format(pooled "T", pooled "T", argument()) end,
  function() return ("for _, name in ipairs { 'get', 'set', 'touch', 'each', 'count', 'delete', 'add', 'value' } do "
    .. "try(function(...) local t = %s return t[name](t, ...) end, %s) end"):format(pooled "T", arguments "SN") end,
  function() return ("try(function() return (%s):%s(%s) end)"):format(pooled "S", one_of { "rep", "gsub", "find", "format", "lower",
    "byte", "sub", "match", "upper", "reverse" }, arguments "NSN") end,
  function() return ("try(function() return %s(conn, uplinks, %s) end)"):format(pooled "F", argument "N") end,
}

-- Large arguments at once, as an attacker would choose; L stands for a large text, N for a number, E for a pattern.
local ATTACKS = { "string.gsub, L, E, L", "string.gsub, L, E, L, N", "string.find, L, L, 1, true", "string.find, L, L", "string.match, L, E",
  "string.format, '%q%q', L, L", "string.format, L, L, L, L", "string.rep, L, N, L", "string.rep, L, N", "os.date, L", "os.date, L .. L",
  "table.concat, T, L", "table.concat, T, L, N, N", "table.sort, T", "table.sort, T, F", "table.insert, T, 1, L", "table.insert, T, N, L",
  "table.remove, T, 1", "string.lower, L .. L", "string.reverse, L .. L .. L", "tonumber, L, 7", "load, L .. L", "load, L:rep(10)",
  "ctx.log.info, L, L", "ctx.hash, L", "ctx.site, L", "ctx.domains, { L, L }", "ctx.match, ctx.domains { 'x' }, L", "unpack, T, N, N",
  "string.gsub, L, '()', '%1'", "string.gsub, L, '(.)', '%1%1'", "string.gsub, L, '.', T", "string.gsub, L, '()(.)', '%2%1', N",
  "string.find, L, '.-' .. ('()'):rep(30) .. 'b'", "string.find, L, '.-[' .. S[7] .. ']b'", "string.find, L, L:sub(1, 50) .. '.'",
  "math.max, L, L", "math.max, unpack(T[5])", "bit.band, L, L, L", "string.char, unpack(T[5])", "string.sub, L, L, L", "tonumber, L, L",
  "os.time, { year = L, month = L, day = L, hour = L, min = L }", "function() for i = L, L, L do return i end end",
  "function() return L .. L .. L .. L end", "function() return L < L, L * L, -L end", "function() return B['string.rep'](L, 4) + 1 end",
  "setmetatable, {}, { __index = T, __newindex = T }", "next, T, N", "string.byte, L, N, N", "string.char, unpack(T, 1, 7000)" }
local EMPTY = { "x*", "", "a*", "()", ".-", "(a*)(a*)", "%f[x]", "[^a]*", "x?", "a-b", ".*b", "(.-)%1", "%b()" }
local function attack()
  local name, rest = one_of(ATTACKS):match "^([%w.]+)(.*)$"
  local inline = name == "function"
  rest = rest:gsub("%f[%w][LNETF]%f[%W]", function(kind)
    return kind == "L" and ("S[%d]"):format(one_of(LARGE)) or kind == "E" and ("%q"):format(one_of(EMPTY)) or pooled(kind)
  end)
  return inline and ("try(function%s)"):format(rest) or ("try(B[%q]%s)"):format(name, rest)
end

local nesting = 0
function statement()
  nesting = nesting + 1
  local made
  if draw(5) == 1 then
    made = attack()
  elseif nesting > 4 or draw(2) == 1 then
    local name = one_of(NAMES)
    made = ("try(B[%q], %s)"):format(name, arguments(SIGNATURES[name])):gsub(", %)$", ")")
  else
    made = one_of(KINDS)()
  end
  nesting = nesting - 1
  return made
end

local function statements(n)
  local list = {}
  for i = 1, n do
    list[i] = statement()
  end
  return table.concat(list, "\n")
end

local function loops_policy()
  local picks = {}
  for i = 1, 10 do
    picks[i] = ("function(conn, uplinks)\n%s\nend"):format(hot.loops(draw, 12))
  end
  return ("return { name = 'hot', new = function(ctx)\n%s\nlocal picks = {\n%s }\nreturn { pick = function(conn, uplinks)\n"
    .. "picks[conn.id %% #picks + 1](conn, uplinks) return uplinks[1] end } end }\n"):format(hot.HEAD, table.concat(picks, ",\n"))
end

---@param seed integer
---@return string
local function policy(seed)
  state = seed % 2147483646 + 1
  for _ = 1, 10 do
    draw(2) -- the first draws of neighbouring seeds are similar
  end
  if seed % 2 == 0 then
    return loops_policy()
  end
  local hooks = {}
  for _, name in ipairs { "opened", "closed", "export", "import", "uplink_changed" } do
    if draw(3) == 1 then
      hooks[#hooks + 1] = ("%s = function(conn, u) budget, uplinks = 2000, { u }\n%s\nreturn %s end,"):format(name, statements(draw(3)),
        name == "export" and "{ T[7], S[8] }" or "nil")
    end
  end
  local picks = {}
  for i = 1, 16 do
    picks[i] = ("function(conn, uplinks) %s\nreturn %s end"):format(statements(draw(6)), one_of { "uplinks[1]", "uplinks", argument(),
      "uplinks[1], S[8], { tag = T[2] }", "false, S[7]", "T[4]", "T[12]" })
  end
  local text = ("return { name = 'fuzz', new = function(ctx)\n%s\nlocal picks, uplinks = {\n%s }, ctx.uplinks\nreturn {\n"
    .. "pick = function(conn, given) budget = 2000 uplinks = given\nif conn.id == 0 then return given[1] end\n"
    .. "return picks[conn.id %% #picks + 1](conn, given) end,\n%s } end }\n")
    :format(HEAD, table.concat(picks, ",\n"), table.concat(hooks, "\n"))
  return (text:gsub(", *%)", ")")) -- where no argument was drawn
end

if arg and arg[0] and arg[0]:find "fuzz_policies%.lua$" then
  io.write(policy(tonumber(arg[1])))
  return
end
return policy
