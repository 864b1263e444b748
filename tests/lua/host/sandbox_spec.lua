local kit = require "kit"
local sandbox = require "steerway.host.sandbox"

-- A new sandbox; files can be read, said collects printed text.
local function new(files)
  local said = {}
  local env = sandbox.new {
    dir = "dir", lua_dir = kit.lua_dir, read = kit.reader(files or {}),
    log = function(level, text) said[#said + 1] = level .. ": " .. text end,
  }
  return env, said
end

local function run(text, files, ...)
  local env, said = new(files)
  local chunk = assert(sandbox.compile(text, "dir/p.lua", env))
  return said, env, chunk(...)
end

-- The values that the text returns.
local function value(text, files)
  return select(3, run(text, files))
end

local function error_of(text, files)
  return kit.fails(value, text, files)
end

describe("the sandbox", function()
  it("runs in LuaJIT, as the engine does", function()
    assert.is_table(jit)
    assert.equal("Lua 5.1", _VERSION)
  end)

  for _, name in ipairs { "io", "ffi", "debug", "package", "jit", "module", "dofile", "loadfile", "getfenv", "setfenv",
    "newproxy", "gcinfo", "arg", "busted", "describe", "os.execute", "os.exit", "os.remove", "os.rename", "os.tmpname",
    "os.getenv", "os.setlocale", "string.dump", "math.randomseed", "coroutine.close", "table.clear", "table.new", "_ENV" } do
    it("has no " .. name, function()
      assert.is_nil(value("return " .. name))
      assert.is_nil(value("return _G." .. name))
      assert.is_nil(value("return load('return " .. name .. "')()"))
    end)
  end

  it("has what a policy needs", function()
    assert.equal("b|3|6|8|1|2|number", value [[
      local co = coroutine.wrap(function(x) return x + coroutine.yield(x) end)
      co(3)
      return table.concat({ ("abc"):sub(2, 2), #{ 1, 2, 3 }, co(3), math.max(1, 8), bit.band(3, 1), select("#", 1, 2),
        type(os.time()) }, "|")]])
  end)

  it("has string.byte and select as in Lua, for any places", function()
    assert.equal("97 99 97 99 98 99", value [[
      local s, byte = "abc", string.byte
      return table.concat({ byte(s), byte(s, -1), byte(s, -0x7fffffff, 2), byte(s, 3, 2 ^ 53), byte(s, "2", "3") }, " ")]])
    assert.equal(0, value [[return select("#", string.byte("abc", 2 ^ 31, -2 ^ 31)) + select("#", string.byte("abc", 4))]])
    assert.equal("2 c b", value [[
      return table.concat({ select("#", "b", "c"), select("2", "b", "c"), (select(-2, "b", "c")) }, " ")]])
    assert.equal("dir/p.lua:1: bad argument #1 to 'select' (number expected, got nil)", error_of "select(nil, 1)")
    assert.equal("dir/p.lua:1: bad argument #1 to 'byte' (string expected, got nil)", error_of "local n = string.byte(nil)")
  end)

  it("has string.sub as in Lua, for any places", function()
    assert.equal("bc abc c   a 23 23", value [[
      local s, sub = "abc", string.sub
      return table.concat({ sub(s, 2), sub(s, -2 ^ 53, 2 ^ 53), sub(s, -1, 1 / 0), sub(s, 4), sub(s, 1, 0 / 0), sub(s, 0, -3),
        sub(123, "2"), sub("123", "2", "0x3") }, " ")]])
    for from = -5, 5 do
      for to = -5, 5 do
        local given = ("string.sub('abc', %d, %d)"):format(from, to)
        assert.equal(("abc"):sub(from, to), value("return " .. given), given)
        assert.equal(("abc"):sub(from + 0.75, to + 0.25),
          value(("return string.sub('abc', %.2f, %.2f)"):format(from + 0.75, to + 0.25)), given)
      end
    end
    assert.equal("dir/p.lua:1: bad argument #2 to 'sub' (number expected, got table)", error_of "local n = string.sub('x', {})")
    assert.equal("dir/p.lua:1: bad argument #1 to 'sub' (string expected, got table)", error_of "local n = string.sub({}, 1)")
  end)

  it("cuts texts alike before and after it is compiled", function()
    assert.equal("12 2", value [[
      local function cut(from, to)
        local text, bytes
        for _ = 1, 100 do
          text, bytes = string.sub("123", from, to), select("#", string.byte("123", from, to))
        end
        return text .. " " .. bytes
      end
      cut(1, 100)
      return cut(1, -2)]])
  end)

  it("gives each policy libraries of its own", function()
    local env = new()
    local other = new()
    env.string.sub, env.table.insert, env.math.huge, env.bit.band, env.os.time = nil, nil, nil, nil, nil
    env.coroutine.create, env.pcall = nil, nil
    assert.is_function(other.string.sub)
    assert.is_function(other.table.insert)
    assert.equal(math.huge, other.math.huge)
    assert.is_function(other.coroutine.create)
    assert.is_function(string.sub)
    assert.is_function(os.time)
    assert.are_not_equal(_G, env._G)
    assert.equal(env, env._G)
  end)

  it("keeps a policy's globals from everybody", function()
    local _, env = run "x = 5; _G.y = 6"
    assert.equal(5, env.x)
    assert.equal(6, env.y)
    assert.is_nil(rawget(_G, "x"))
    assert.is_nil(rawget(_G, "y"))
  end)

  describe("compiles", function()
    local bytecode = string.dump(function() return 1 end)

    it("text, never bytecode", function()
      local chunk, message = sandbox.compile(bytecode, "dir/p.lua", new())
      assert.is_nil(chunk)
      assert.equal("dir/p.lua: expected Lua text, got bytecode", message)
    end)

    for _, call in ipairs { "load(b)", "load(b, 'x', 'b')", "load(b, 'x', 'bt')", "loadstring(b)",
      "load(function() local c = b b = nil return c end, 'x', 'b')" } do
      it("no bytecode by " .. call, function()
        local env = new()
        env.b = bytecode
        local chunk, message = assert(load("return " .. call, "=x", "t", env))()
        assert.is_nil(chunk)
        assert.truthy(message:find "attempt to load chunk with wrong mode")
      end)
    end

    it("files so that an error names them whole, or by their last folders", function()
      local long = ("a-folder/"):rep(12) .. "my.policy/"
      local function message(path, text)
        return kit.fails(assert(sandbox.compile(text, path, new())))
      end
      assert.equal("dir/p.lua:2: oh", message("dir/p.lua", "\nerror 'oh'"))
      assert.equal("..." .. ("/a-folder"):rep(4) .. "/my.policy/p.lua:2: oh", message(long .. "p.lua", "\nerror 'oh'"))
      local whole = ("x"):rep(55) .. ".lua"
      assert.equal(whole .. ":1: oh", message(whole, "error 'oh'"))
      assert.equal("..." .. ("x"):rep(52) .. ".lua:1: oh", message("x" .. whole, "error 'oh'"))
      local env = sandbox.new { dir = long:sub(1, -2), lua_dir = kit.lua_dir, log = print, read = kit.reader {
        [long .. "sub/m.lua"] = "error 'oh'",
      } }
      assert.equal("..." .. ("/a-folder"):rep(4) .. "/my.policy/sub/m.lua:1: oh",
        kit.fails(assert(sandbox.compile("require 'sub.m'", long .. "p.lua", env))))
    end)

    it("secret files so that no error quotes them", function()
      local files = { ["dir/m.lua"] = "return 'SECRET" }
      local env = sandbox.new { dir = "dir", lua_dir = kit.lua_dir, log = print, read = kit.reader(files), secret = true }
      local _, message = sandbox.compile("return { x = 'SECRET }", "dir/near / near c.lua", env, true)
      assert.equal("dir/near / near c.lua:1: unfinished string", message)
      assert.equal("dir/m.lua:1: unfinished string", kit.fails(env.require, "m"))
      local hint = "; a config file is Lua, and returns a table: return { uplinks = { … } }"
      assert.equal("dir/c.json:1: unexpected symbol" .. hint,
        select(2, sandbox.compile('{ "password": "SECRET" }', "dir/c.json", env, true)))
      assert.equal("load:1: '=' expected", select(2, env.load("SECRET", "SECRET")))
      assert.equal("load:1: '=' expected", select(2, env.loadstring "SECRET"))
      assert.equal(7, env.load("return 7")())
    end)

    it("no bytecode by require", function()
      assert.equal("dir/code.lua: expected Lua text, got bytecode",
        error_of("require 'code'", { ["dir/code.lua"] = bytecode }))
    end)

    for _, call in ipairs { "load('return io')", "load('return io', 'x', 't', nil)", "loadstring('return io')",
      "load(function() local t = text text = nil return t end)",
      "(function() local c = coroutine.wrap(load) return c('return io', 'x', 't') end)()" } do
      it("into its own world: " .. call, function()
        local _, _, chunk = run("text = 'return io' return " .. call)
        assert.is_function(chunk)
        assert.is_nil(chunk())
      end)
    end

    it("into a table that the policy gives", function()
      assert.equal(4, value "return load('return x', 'x', 't', { x = 4 })()")
    end)

    it("into nothing else", function()
      for _, given in ipairs { "5", "false", "'x'", "print" } do
        assert.truthy(error_of("local f = load('return 1', 'x', 't', " .. given .. ")"):find(
          "dir/p.lua:1: load: expected a table as environment, got ", 1, true))
      end
    end)

    it("pieces of a reader's", function()
      assert.equal(12, value "local n = 0 return load(function() n = n + 1 return ({ 'return ', '12' })[n] end)()")
      assert.equal(12, value "local n = 0 return load(function() n = n + 1 return ({ 'return ', '12', '' })[n] end)()")
      assert.equal("dir/p.lua:1: load: expected the reader to return strings, got number",
        error_of "local f = load(function() return 5 end)")
    end)

    it("no text that takes long", function()
      local too_long = "load: a text of %d+ bytes is too long; expected at most 1048576"
      assert.truthy(error_of("return load(('x'):rep(2^20 + 1))"):find(too_long))
      assert.truthy(error_of("return loadstring(('x'):rep(2^20 + 1))"):find(too_long))
      assert.truthy(error_of("return load(function() return ('x = 1 '):rep(1000) end)"):find(too_long))
    end)

    it("nothing that does not parse", function()
      local _, _, chunk, message = run "return load('x = = 1', '=piece')"
      assert.is_nil(chunk)
      assert.equal("piece:1: unexpected symbol near '='", message)
    end)
  end)

  describe("getmetatable", function()
    it("is silent on strings and everything that is no table", function()
      for _, what in ipairs { "''", "print", "1", "true", "coroutine.create(print)", "1LL", "nil" } do
        assert.is_nil(value("return getmetatable(" .. what .. ")"))
      end
    end)

    it("works on a policy's own tables", function()
      assert.is_true(value "local m = {} return getmetatable(setmetatable({}, m)) == m")
      assert.equal("mine", value "return getmetatable(setmetatable({}, { __metatable = 'mine' }))")
    end)

    it("does not let a string's be set", function()
      assert.truthy(error_of("setmetatable('', {})"):find "table expected")
    end)
  end)

  describe("seal_strings", function()
    local debug_getmetatable = debug.getmetatable

    local function sealed(f)
      local meta = debug_getmetatable ""
      local index = meta.__index
      sandbox.seal_strings()
      local function restore(ok, ...)
        meta.__index, meta.__metatable = index, nil
        assert(ok, ...)
        return ...
      end
      return restore(pcall(f))
    end

    it("hides the string methods' table, which has no dump", function()
      local dump, meta, rep = sealed(function()
        return ("").dump, (getmetatable "") or false, ("x"):rep(2)
      end)
      assert.is_nil(dump)
      assert.is_false(meta)
      assert.equal("xx", rep)
      assert.is_function(string.dump)
    end)

    it("holds methods to the bounds, and lets no policy change them", function()
      local ok, still = sealed(function()
        local env = new()
        env.string.rep = nil
        return pcall(function() return ("x"):rep(5000):find "x-x-x-y" end), ("x"):rep(2)
      end)
      assert.is_false(ok)
      assert.equal("xx", still)
    end)
  end)

  describe("xpcall", function()
    it("passes values and arguments", function()
      local out = { select(3, run "return xpcall(function(...) return ... end, print, 1, nil, 3)") }
      assert.same({ true, 1, nil, 3 }, out)
    end)

    it("runs the handler after the call, where it can be stopped", function()
      assert.same({ false, "handled: dir/p.lua:1: x" },
        { select(3, run "return xpcall(function() error 'x' end, function(e) return 'handled: ' .. e end)") })
    end)

    it("survives a handler that fails", function()
      local ok, message = select(3, run "return xpcall(error, function() error('twice', 0) end, 'once')")
      assert.is_false(ok)
      assert.equal("twice", message)
    end)

    it("does not show the handler the stack of the call", function()
      assert.equal(1, value [[
        local depth = 0
        local function level() depth = depth + 1 end
        xpcall(function() error "x" end, level)
        return depth]])
    end)
  end)

  describe("require", function()
    it("finds the library and files beside the policy, once", function()
      local files = {
        ["dir/mine.lua"] = "n = (n or 0) + 1 return { n = n, balance = require 'steerway.balance' }",
        ["dir/more/deep.lua"] = "return require 'mine'",
        ["dir/nothing.lua"] = "",
        ["dir/no.lua"] = "return false",
      }
      assert.is_true(value([[
        local mine = require "mine"
        assert(mine.n == 1 and mine == require "mine" and mine == require "more.deep")
        assert(type(mine.balance.smooth) == "function" and mine.balance == require "steerway.balance")
        assert(require "nothing" == true)
        return require "no" == false]], files))
    end)

    it("gives the library to each sandbox anew", function()
      local _, _, balance = run "local b = require 'steerway.balance' b.smooth = nil return b"
      assert.is_nil(balance.smooth)
      assert.is_function(value("return require('steerway.balance').smooth"))
      assert.is_function(require("steerway.balance").smooth)
    end)

    it("runs modules in the sandbox too", function()
      assert.equal("nil", value("return require 'm'", { ["dir/m.lua"] = "return tostring(io)" }))
    end)

    for _, name in ipairs { "steerway.host", "steerway.host.types", "steerway.host.sandbox", "steerway.host.x.y" } do
      it("keeps the engine's own module " .. name, function()
        assert.equal(("dir/p.lua:1: module '%s' is the engine's own"):format(name), error_of(("require '%s'"):format(name)))
      end)
    end

    for _, name in ipairs { "", ".", "..", "../p", "/etc/passwd", "a/b", ".p", "p.", "a..b", "steerway..host",
      "steerway/host", "steerway.balance.", "p\\0", "p.lua\\0x", "a-b", "~", "%2e%2e" } do
      it(("refuses '%s'"):format(name), function()
        local asked = false
        local env = sandbox.new { dir = "dir", lua_dir = "lua", log = print, read = function() asked = true end }
        local message = kit.fails(assert(sandbox.compile(("require '%s'"):format(name), "dir/p.lua", env)))
        assert.truthy(message:find("expected a name such as steerway.balance, or of a file beside the policy", 1, true))
        assert.is_false(asked)
      end)
    end

    for _, name in ipairs {
      "ffi", "io", "os", "jit", "debug", "package", "socket", "table.clear", "jit.util", "string.buffer", "_G",
    } do
      it("looks for " .. name .. " beside the policy alone", function()
        local path = "dir/" .. name:gsub("%.", "/") .. ".lua"
        assert.truthy(error_of(("require '%s'"):format(name)):find(
          ("dir/p.lua:1: module '%s': %s: No such file"):format(name, path), 1, true))
        assert.equal("beside", value(("return require '%s'"):format(name), { [path] = "return 'beside'" }))
      end)
    end

    it("tells what to do instead of a module that is not there", function()
      for name, hint in pairs {
        io = "; io is not in the sandbox: ctx.domains { file = … }", ffi = "; ffi is not in the sandbox: a policy calls no C",
        debug = "; debug is not in the sandbox: ctx.log and print", os = "; os is a global",
        socket = "; a policy can require steerway.balance, hours,", ["steerway.balnce"] = "; did you mean 'steerway.balance'?",
      } do
        assert.truthy(error_of(("require '%s'"):format(name)):find(hint, 1, true), name)
      end
    end)

    it("gives Lua's own libraries by their names, those of this world", function()
      for _, name in ipairs { "string", "table", "math", "bit", "coroutine" } do
        assert.is_true(value(("return require '%s' == %s"):format(name, name)))
        local files = { ["dir/" .. name .. ".lua"] = "return 'beside'" }
        assert.equal("beside", value(("return require '%s'"):format(name), files))
      end
    end)

    it("suggests the right name of a building block", function()
      assert.equal("dir/p.lua:2: balance has no field 'least_conections'; did you mean 'least_connections'?",
        error_of "local b = require 'steerway.balance'\nreturn b.least_conections()")
      assert.truthy(error_of "return require('steerway.hours').witin":find("did you mean 'within'?", 1, true))
      assert.equal(5, value("local m = require 'm' return m.nothing or 5", { ["dir/m.lua"] = "return { x = 1 }" }))
    end)

    it("never reads outside of the two folders", function()
      local paths = {}
      local env = sandbox.new {
        dir = "dir", lua_dir = "lua", log = print,
        read = function(path)
          paths[#paths + 1] = path
          return nil, "no"
        end,
      }
      for _, name in ipairs { "a", "a.b.c", "steerway", "steerway.balance", "steerwayx", "steerway.hosts" } do
        kit.fails(env.require, name)
      end
      assert.same({ "dir/a.lua", "dir/a/b/c.lua", "lua/steerway.lua", "lua/steerway/balance.lua", "dir/steerwayx.lua",
        "lua/steerway/hosts.lua" }, paths)
    end)

    it("names file and line of what is wrong in a module", function()
      assert.equal("dir/bad.lua:3: unexpected symbol near '='", error_of("require 'bad'", { ["dir/bad.lua"] = "\n\nx = = 1" }))
      assert.equal("dir/bad.lua:2: oh", error_of("require 'bad'", { ["dir/bad.lua"] = "\nerror 'oh'" }))
    end)

    it("tries a module again that failed before", function()
      assert.equal("twice", value([[
        assert(not pcall(require, "m"))
        good = true
        return require "m"]], { ["dir/m.lua"] = "assert(good) return 'twice'" }))
    end)

    it("notices a ring", function()
      assert.truthy(error_of("require 'a'", {
        ["dir/a.lua"] = "require 'b'", ["dir/b.lua"] = "require 'a'",
      }):find "dir/b.lua:1: module 'a' requires itself")
    end)

    it("wants a name", function()
      assert.equal("dir/p.lua:1: require: expected a module's name, got nil", error_of "require()")
      assert.equal("dir/p.lua:1: require: expected a module's name, got table", error_of "require {}")
    end)
  end)

  it("prints to the log", function()
    local said = run "print('a', nil, 5, setmetatable({}, { __tostring = function() return 't' end })) print()"
    assert.same({ "info: a\tnil\t5\tt", "info: " }, said)
  end)

  it("lets the collector be read, not stopped", function()
    assert.is_number(value "return collectgarbage()")
    assert.is_number(value "return collectgarbage 'count'")
    for _, what in ipairs { "stop", "collect", "restart", "setpause", "step" } do
      assert.equal("dir/p.lua:1: collectgarbage: only 'count' is there", error_of(("collectgarbage '%s'"):format(what)))
    end
  end)

  it("knows the folder of a file", function()
    assert.equal("/a/b", sandbox.folder "/a/b/c.lua")
    assert.equal("", sandbox.folder "/c.lua")
    assert.equal(".", sandbox.folder "c.lua")
  end)
end)
