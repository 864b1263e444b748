-- Loops that run often enough to be compiled, for fuzz_policies.lua: calls with extreme arguments; and tables,
-- numbers and closures that change while they run. Only such loops find what LuaJIT compiles wrongly.

local draw -- draw(n) returns one of 1 to n

local function one_of(list)
  return list[draw(#list)]
end

-- Definitions that the loops use. Each loop is called with VALUES, and so often that its function is hot too.
local HEAD = [==[
local LONG, hot_n = ("q"):rep(300), 0
local MT = { __index = function(_, k) return k end, __call = function(_, ...) return ... end, __len = function() return 3 end,
  __concat = function() return "c" end, __add = function() return 1 end, __lt = function() return true end, __newindex = rawset }
local MU = { __index = { x = 1, 2, 3 }, __newindex = function() end, __eq = function() return false end }
local OBJ = setmetatable({}, MT)
local function pass(...) return ... end
local function number(v) return type(v) == "number" and v or 1 end
local function hot(f)
  local co = coroutine.create(function(...) while true do coroutine.yield(...) end end)
  for _ = 1, 3 do pcall(f, { 1, 2, 3, 4, 5, "x" }, co, 1, "two", 3.5, nil, 5) end
end
]==]

local NUMBERS = { "0", "1", "-1", "2", "3", "-3", "5", "100", "249", "251", "7999", "8001", "-8000", "65536", "0x7fffffff",
  "-0x7fffffff", "2^31", "-2^31", "0xffffffff", "2^32", "2^52", "2^53", "-2^53", "2^63", "-2^63", "1e308", "-1e308", "1/0",
  "-1/0", "0/0", "0.5", "-0", "1e-320", "i", "-i", "i * 2^26", "#t" }
local TEXTS = { "'xxx'", "''", "'a\\0b'", "'12'", "'5'", "'-1'", "'0x7fffffff'", "'1e9'", "'%d'", "'.-'", "'%s'", "LONG", "'*t'" }
local OTHERS = { "nil", "true", "false", "t", "OBJ", "pass", "co", "...", "{ ... }", "{}", "{ 1, 2, 3 }",
  "function() return i end", "{ n = i }", "conn", "conn.host", "conn.id", "uplinks", "uplinks[1]", "print" }

local BUILTINS = {}
for library, names in pairs {
  [""] = "select unpack tonumber tostring rawget rawset rawequal next ipairs pairs type getmetatable setmetatable assert error "
    .. "pcall xpcall load collectgarbage",
  bit = "band bor bxor bnot lshift rshift arshift rol ror bswap tobit tohex",
  coroutine = "wrap create resume status running yield isyieldable",
  ctx = "hash match now time random site",
  math = "abs floor ceil fmod frexp ldexp max min modf pow random sqrt atan2 log exp tan",
  os = "time date clock difftime",
  string = "byte sub len char lower upper reverse rep format find match gmatch gsub",
  table = "insert remove concat sort maxn",
} do
  for name in names:gmatch "%S+" do
    BUILTINS[#BUILTINS + 1] = (library == "" and "" or library .. ".") .. name
  end
end
table.sort(BUILTINS)
-- LuaJIT compiles these itself; it calls or interprets others.
for name in ("string.byte string.sub string.char string.rep select select tonumber unpack math.min math.max bit.lshift bit.tobit "
  .. "rawget table.insert"):gmatch "%S+" do
  for _ = 1, 5 do
    BUILTINS[#BUILTINS + 1] = name
  end
end
local FAR = { "0x7fffffff", "-0x7fffffff", "2^31", "-2^31", "2^30", "-2^30", "2^53", "-2^53", "1/0", "-1/0" }

local function value()
  local p = draw(20)
  return one_of(p <= 3 and FAR or p <= 10 and NUMBERS or p <= 15 and TEXTS or OTHERS)
end

-- --- loops of calls ---------------------------------------------------------------------------------------

-- A function's first and second arguments, chosen so that most calls succeed.
local TAKES = { select = { { "'1'", "'2'", "'5'", "'12'", "-1", "2", "i", "'#'" }, OTHERS }, string = { TEXTS, NUMBERS },
  bit = { NUMBERS, NUMBERS }, math = { NUMBERS, NUMBERS }, table = { { "t" }, NUMBERS } }

local function call(depth)
  local name, list = one_of(BUILTINS), {}
  local takes = draw(4) > 1 and TAKES[name:match "^%a+"]
  for i = 1, draw(5) - 1 + (takes and 1 or 0) do
    local usual = takes and draw(4) > 1 and takes[math.min(i, 2)]
    if usual then
      list[i] = one_of(usual == NUMBERS and draw(2) == 1 and FAR or usual)
    else
      list[i] = depth < 2 and draw(7) == 1 and call(depth + 1) or value()
    end
  end
  if name == "select" and draw(2) == 1 then
    list[math.max(#list, 1) + 1], list[1] = "...", list[1] or value()
  end
  local arguments = table.concat(list, ", ")
  if draw(5) == 1 then -- although it fails each time
    return ("pcall(%s%s)"):format(name, arguments == "" and "" or ", " .. arguments)
  end
  return ("%s(%s)"):format(name, arguments)
end

local OPERATORS = { "+", "-", "*", "/", "%", "^", "..", "==", "<", "<=", "~=", "and", "or" }
local function result()
  local p = draw(20)
  if p <= 15 then
    return call(0)
  elseif p <= 17 then
    return ("(%s) %s (%s)"):format(value(), one_of(OPERATORS), value())
  end
  return one_of { "(select(%s, ...))", "t[%s]", "#{ %s, nil }", "pass(%s)", "-(%s)", "{ %s }", "(conn)[%s]" }:format(value())
end

-- A function, and two sets of three values that it may take.
local function changing()
  local name = one_of(BUILTINS)
  local takes, list = TAKES[name:match "^%a+"], { name }
  for i = 1, 6 do
    local usual = takes and takes[i % 3 == 1 and 1 or 2]
    list[i + 1] = usual and one_of(usual == NUMBERS and draw(2) == 1 and FAR or usual) or value()
  end
  return unpack(list)
end

local CALLS = {
  function() return ("local a, b, c for i = 1, 120 do a, b, c = %s end return a, b, c"):format(result()) end,
  function() return ("for i = 1, 120 do local a, b = (%s), (%s) t[i %% 5] = a or b end"):format(result(), result()) end,
  -- Compiled for some values, then called with others.
  function() return ("local i = 3 local function f(a, b, c) local r for _ = 1, 80 do r = %s(a, b, c) end return r end "
    .. "f(%s, %s, %s) return f(%s, %s, %s)"):format(changing()) end,
  function() return ("local i, f = 7, %s local a, b, c = %s, %s, %s for _ = 1, 120 do f(a, b, c) end")
    :format(one_of(BUILTINS), value(), value(), value()) end,
  function() return ("local i = 0 while i < 120 do i = i + 1 if (%s) == (%s) then t = { i } end end")
    :format(result(), result()) end,
  function() return ("local function f(n, ...) local i = n if n > 0 then local a = %s return f(n - 1, %s) end end "
    .. "for n = 1, 30 do f(n, ...) end"):format(result(), one_of { "...", "n, ...", value() }) end,
}

-- --- loops of tables, numbers and closures --------------------------------------------------------------------

local TABLES, COUNTERS, VARIABLES = { "t", "u", "up" }, { "i", "j", "k" }, { "a", "b", "c", "i", "j", "k" }
local SMALL = { "0", "1", "-1", "2", "3", "7", "-0", "1.5", "1e9", "2^31", "-2^31", "0/0", "100", "#t", "#u", "#up" }

local function sum(depth)
  local p = draw(10)
  if depth > 2 or p <= 4 then
    return draw(5) <= 3 and one_of(VARIABLES) or one_of(SMALL)
  elseif p <= 7 then
    return ("(%s %s %s)"):format(sum(depth + 1), one_of { "+", "-", "*", "/", "%" }, sum(depth + 1))
  elseif p == 8 then
    return ("number(%s[%s])"):format(one_of(TABLES), sum(depth + 1))
  end
  return one_of { "bit.band(%s, 255)", "math.floor(%s)", "math.max(%s, a)", "math.min(%s, 3)", "bit.lshift(%s, 1)" }
    :format(sum(depth + 1))
end

local function key()
  return draw(4) == 1 and one_of { "'x'", "'y'", "'z'" } or sum(1)
end

local function made()
  return one_of { "{}", "{ 1, 2, 3 }", "{ nil, nil, nil, nil }", "{ x = 1 }", "{ a, b }", "t", "u", "up", "setmetatable({}, MT)",
    "setmetatable({ 1, 2 }, MU)", "{ x = t, y = u }", "{ pass(a, b) }", "{ ... }", "uplinks" }
end

local function condition()
  return one_of {
    ("%s %s %s"):format(sum(1), one_of { "<", "<=", "==", "~=", ">", ">=" }, sum(1)),
    ("%s ~= %s"):format(one_of(COUNTERS), one_of { "0", "1", "2" }),
    ("%s %% %s == 0"):format(one_of(COUNTERS), one_of { "2", "3", "7", "56", "60" }),
    ("%s[%s]"):format(one_of(TABLES), key()),
    ("%s == %s"):format(one_of(TABLES), one_of(TABLES)),
  }
end

local block
local function loop(depth)
  return ("for %s = %s, %s%s do %s end"):format(one_of(COUNTERS), one_of { "1", "0", "-0", sum(1) },
    one_of { "2", "3", "10", "60", "i", "j", sum(1) }, one_of { "", "", "", ", 2", ", -1" }, block(depth + 1))
end

-- Statements that contain others come last.
local STATEMENTS = {
  function() return ("%s[%s] = %s"):format(one_of(TABLES), key(), one_of { sum(1), "nil", one_of(TABLES), "'q'", "true" }) end,
  function() return ("%s[%s] = nil"):format(one_of(TABLES), one_of(COUNTERS)) end,
  function() return ("%s = %s"):format(one_of { "a", "b", "c" }, sum(0)) end,
  function() return ("%s = %s"):format(one_of(TABLES), made()) end,
  function() return ("%s = {}"):format(one_of(TABLES)) end,
  function() return ("local v = %s[%s] if type(v) == 'table' then %s = v else a = number(v) end")
    :format(one_of(TABLES), key(), one_of(TABLES)) end,
  function() return ("setmetatable(%s, %s)"):format(one_of(TABLES), one_of { "nil", "MT", "MU" }) end,
  function() return ("a, b = pass(%s, ...) a, b = number(a), number(b)"):format(sum(1)) end,
  function() return ("local w = %s g = function(x) if x then w = x end return w end a = number(g(%s))")
    :format(sum(1), one_of { "nil", "b", "t" }) end,
  function() return "word = (word .. a):sub(1, 40)" end,
  function() return ("%s.x = %s"):format(one_of(TABLES), sum(1)) end,
  function(depth) return ("for p, q in pairs(%s) do a = number(q) %s end"):format(one_of(TABLES), block(depth + 1)) end,
  loop,
  loop,
  function(depth) return ("local n = 0 while n < %s and %s do n = n + 1 %s end")
    :format(one_of { "5", "70" }, condition(), block(depth + 1)) end,
  function(depth) return ("if %s then %s end"):format(condition(), block(depth + 1)) end,
  function(depth) return ("if %s then %s else %s end"):format(condition(), block(depth + 1), block(depth + 1)) end,
}
local FLAT = 11 -- the number of statements that contain no others

function block(depth)
  local list = {}
  for i = 1, draw(3) do
    list[i] = ("do %s end"):format(STATEMENTS[draw(depth > 3 and FLAT or #STATEMENTS)](depth))
  end
  return table.concat(list, " ")
end

-- A function of nested loops that sometimes calls itself, so that its trace meets other tables.
local NEST = [==[
local u, up, a, b, c, i, j, k, word, g = {}, nil, 1, 2, 3, 0, 0, 0, ""
local function f(depth, ...)
  hot_n = hot_n + 1
  up = %s
  %s
  %s
  if depth > 0 and hot_n %% 150 ~= 0 then return f(depth - 1, ...) end
end
for n = 1, 40 do f(%s, ...) end]==]
local function nest()
  return NEST:format(made(), loop(1), block(2), one_of { "0", "3", "40", "n" })
end

---@param random fun(n: integer): integer
---@param n integer
---@return string  n functions with hot loops, each of which is called; `HEAD` belongs before
local function loops(random, n)
  draw = random
  local list = {}
  for i = 1, n do
    list[i] = ("hot(function(t, co, ...) %s end)"):format(draw(3) == 1 and nest() or one_of(CALLS)())
  end
  return table.concat(list, "\n")
end

return { HEAD = HEAD, loops = loops }
