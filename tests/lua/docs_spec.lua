-- Runs the code blocks about policies in the docs.
local kit = require "kit"
local types = require "steerway.host.types"

local PORTS = { 22, 25, 80, 443, 993, 8443 }
local CANDIDATES = { { 1, 2, 3 }, { 1 }, { 2 }, { 3 }, { 3, 1 }, { 2, 3 } }

-- The ```lua blocks of a page, and the line where each begins.
local function blocks_of(path)
  local blocks, block, number = {}, nil, 0
  for line in io.lines(path) do
    number = number + 1
    if line == "```lua" then
      block = { line = number + 1 }
    elseif line == "```" and block then
      block.text = table.concat(block, "\n")
      blocks[#blocks + 1] = block
      block = nil
    elseif block then
      block[#block + 1] = line
    end
  end
  assert(not block, path .. ": a block without an end")
  return blocks
end

local function world()
  return kit.world {
    { name = "eth0", weight = 7, active = 2 }, { name = "fibre", weight = 2 },
    { name = "lte", tier = 2, tags = { "metered" }, active = 1 },
  }
end

-- Ask it for every port and every choice of candidates, and call every hook.
local function put_through_its_paces(runner)
  local seen = 0
  for _, port in ipairs(PORTS) do
    for attempt, ids in ipairs(CANDIDATES) do
      local conn = { id = attempt, port = port, attempt = attempt, last_error = attempt > 1 and "timeout" or nil }
      assert.truthy(runner:pick(conn, ids).reason)
      if runner.entry.failed then
        runner:hook("failed", conn, ids[1], { error = "timeout" })
      end
      if runner.entry.opened then
        runner:hook("opened", conn, ids[1], { connect_s = 0.1 })
      end
      if runner.entry.closed then
        runner:hook("closed", conn, ids[1], { tx = 1, rx = 2, duration = 3, reason = "closed" })
      end
      runner:forget(attempt)
      seen = seen + 1
    end
  end
  assert.equal(#PORTS * #CANDIDATES, seen)
end

local PAGES = { -- the least number of blocks, and the lines of the first one
  ["README.md"] = { least = 1, first = 10 },
  ["docs/policies.md"] = { least = 3, first = 10 },
  ["docs/policy-guide.md"] = { least = 6 },
}

for path, expected in pairs(PAGES) do
  describe(path, function()
    local blocks = blocks_of(path)

    it("shows policies", function()
      assert.is_true(#blocks >= expected.least)
      assert.equal(expected.first or #blocks[1], #blocks[1])
    end)

    for _, block in ipairs(blocks) do
      it("shows at line " .. block.line .. " one that works", function()
        local runner = world():load(block.text, { file = path .. ":" .. block.line, files = {
          [path .. ":" .. block.line] = block.text,
        } })
        local file = block.text:match "^%-%- (%S+)%.lua: "
        assert.equal(file or runner.policy.name, runner.policy.name)
        put_through_its_paces(runner)
      end)
    end
  end)
end

describe("README.md", function()
  local page = kit.text_of "README.md"
  local blocks = blocks_of "README.md"

  -- An uplink has the name that the command gives it.
  it("shows one that makes a difference with the command beside it", function()
    local uplinks = {}
    for name, weight in page:match("%-%-policy steady_ports%.lua ([^`]+)`"):gmatch "(%w+)@(%d+)" do
      uplinks[#uplinks + 1] = { name = name, weight = tonumber(weight), active = #uplinks == 0 and 20 or 0 }
    end
    assert.equal(2, #uplinks)
    local runner = kit.world(uplinks):load(blocks[1].text)
    assert.same({ verdict = "use", uplink = "eth0", names = { "eth0" }, reason = "steady port", timeout = 0, hedge = 0 },
      runner:pick { port = 22 })
    assert.same({ "wwan0" }, runner:pick({ port = 443 }).names)
    assert.same({ "wwan0" }, runner:pick({ port = 22 }, { 2 }).names)
  end)
end)

describe("the policies among the examples", function()
  local list = assert(io.popen "ls examples/*/*.lua")
  for file in list:lines() do
    if not file:find "/config%.lua$" then
      it("work: " .. file, function()
        put_through_its_paces(world():load(nil, { file = file }))
      end)
    end
  end
  list:close()
end)

describe("docs/policies.md", function()
  local page = kit.text_of "docs/policies.md"
  local blocks = blocks_of "docs/policies.md"

  it("does what it says it does: SSH on the cable", function()
    local runner = world():load(blocks[1].text)
    local answer = runner:pick { port = 22 }
    assert.same({ "use", "eth0", "SSH stays on the cable" }, { answer.verdict, answer.uplink, answer.reason })
    assert.equal("no opinion", runner:pick({ port = 443 }).verdict)
    assert.equal("no opinion", runner:pick({ port = 22 }, { 2, 3 }).verdict)
  end)

  it("does what it says it does: careful", function()
    local warned = {}
    local runner = world():load(blocks[2].text, { log = function(_, text) warned[#warned + 1] = text end })
    local function names(conn, ids)
      return runner:pick(conn, ids).names
    end
    assert.same({ "fibre" }, names { now = 1000 })
    runner:hook("failed", { now = 1000 }, 2, { error = "timeout" })
    assert.same({ "fibre rests for 60 s: timeout" }, warned)
    assert.same({ "eth0" }, names { now = 1059 })
    assert.same({ "fibre" }, names { now = 1060 })
    assert.same({ "lte" }, names({ now = 1001, port = 80 }, { 2, 3 }))
    assert.equal("none is good", runner:pick({ now = 1001, port = 8080 }, { 2, 3 }).reason)
  end)

  it("does what it says it does: no mail", function()
    local runner = world():load(blocks[3].text)
    assert.same({ verdict = "refuse", names = {}, reason = "no mail from here", timeout = 0, hedge = 0 },
      runner:pick { port = 25 })
    assert.same({
      verdict = "use", uplink = "fibre", names = { "fibre", "eth0", "lte" }, reason = "in order of load", timeout = 3, hedge = 0,
    },
      runner:pick { port = 443 })
  end)

  -- The names in the first column of the table below a heading.
  local function fields_below(heading)
    local from = assert(select(2, page:find(heading, 1, true)), heading)
    local names = {}
    for row in page:sub(from):match("\n\n(|.-)\n\n"):gmatch "[^\n]+" do
      for name in (row:match "^| ([^|]*) |" or ""):gmatch "`([%w_]+)`" do
        names[name] = true
      end
    end
    return names
  end

  -- The table below the heading has the texts and the numbers that an object of that kind has, and no other.
  local function check_fields(heading, kind, texts, object)
    local listed = fields_below(heading)
    local real = {}
    for name in texts:gmatch "%S+" do
      real[name] = true
    end
    for name in pairs(types.layout()) do
      local field = name:match("^" .. kind .. "%.(.*)")
      if field then
        real[field] = true
      end
    end
    assert.same(real, listed)
    for name in pairs(listed) do
      assert.is_true((pcall(function() return object[name] end)), name)
    end
  end

  it("lists the fields of conn, all of them and no other", function()
    local w = world()
    w:begin()
    check_fields("**conn**", "conn", "host address client user listener proto last_error tag", w.conn)
  end)

  it("lists the fields of uplinks, all of them and no other", function()
    check_fields("**uplink**", "uplink", "name kind interface tags", world().uplinks[1])
  end)

  it("lists the policies that ship", function()
    local listed = fields_below "## Those that ship"
    local list = assert(io.popen "ls policies")
    for file in list:lines() do
      local name = file:match "^(.*)%.lua$"
      assert.is_true(listed[name], name)
      listed[name] = nil
    end
    list:close()
    assert.same({}, listed)
  end)

  it("names every building block", function()
    for name in pairs(require "steerway.balance") do
      assert.truthy(page:find("`" .. name .. "(", 1, true), name)
    end
  end)
end)

describe("docs/policy-guide.md", function()
  local testing = require "steerway.testing"
  local blocks = blocks_of "docs/policy-guide.md"
  local step_world

  local function step(n)
    step_world = testing.world {
      { name = "fibre", quota_left = 5e9 }, { name = "dsl" }, { name = "lte", tier = 2, tags = { "metered" }, quota_left = 5e9 },
    }
    return step_world:load(blocks[n].text)
  end

  local function lines_up(up)
    step_world:named("fibre").up, step_world:named("dsl").up = up, up
  end

  it("1: keeps SSH on the fibre", function()
    local policy = step(1)
    assert.equal("fibre", policy:pick({ port = 22 }).uplink)
    assert.equal("no opinion", policy:pick({ port = 22 }, { "dsl", "lte" }).verdict)
  end)

  it("2: spares the metered line", function()
    local policy = step(2)
    assert.same({ fibre = 10, dsl = 10, lte = 0 }, policy:tally(20))
    assert.equal("lte", policy:pick(nil, { "lte" }).uplink)
  end)

  it("3: keeps sites together, over a reload too", function()
    local policy = step(3)
    local first = policy:pick({ host = "www.bank.example" }).uplink
    step_world:named(first).active = 9
    policy:reload()
    assert.equal(first, policy:pick({ host = "img.bank.example" }).uplink)
    step_world:pass(1800)
    assert.is_true(policy:pick({ host = "img.bank.example" }).uplink ~= first)
  end)

  it("4: falls back and returns", function()
    local policy = step(4)
    local first = policy:pick({ host = "www.bank.example" }).uplink
    lines_up(false)
    assert.equal("lte", policy:pick({ host = "www.bank.example" }).uplink)
    lines_up(true)
    assert.equal(first, policy:pick({ host = "www.bank.example" }).uplink)
  end)

  it("4: keeps no site on the backup, not even one that came during the outage", function()
    local policy = step(4)
    lines_up(false)
    assert.equal("lte", policy:pick({ host = "www.bank.example" }).uplink)
    lines_up(true)
    local back = policy:pick({ host = "www.bank.example" }).uplink
    assert.is_true(back ~= "lte")
    for _ = 1, 10 do
      assert.equal(back, policy:pick({ host = "www.bank.example" }).uplink)
    end
  end)

  it("5: leaves the last gigabyte alone", function()
    local policy = step(5)
    step_world:named("fibre").quota_left = 9e8
    for i = 1, 20 do
      assert.equal("dsl", policy:pick({ host = ("www.site%d.example"):format(i) }).uplink)
    end
  end)

  it("5: moves what is kept when the quota ends, and brings it back", function()
    local policy = step(5)
    step_world:named("dsl").active = 9
    assert.equal("fibre", policy:pick({ host = "www.bank.example" }).uplink)
    step_world:named("fibre").quota_left = 0
    for _ = 1, 10 do
      step_world:pass(600)
      assert.equal("dsl", policy:pick({ host = "www.bank.example" }).uplink)
    end
    step_world:named("fibre").quota_left = 5e9
    assert.equal("fibre", policy:pick({ host = "www.bank.example" }).uplink)
  end)

  it("6: leaves out a line that fails three times in a row", function()
    local policy = step(6)
    step_world:named("dsl").active = 9
    assert.equal("fibre", policy:pick({ host = "www.bank.example" }).uplink)
    step_world:named("dsl").active = 0
    for _ = 1, 3 do
      policy:hook("failed", nil, "fibre", { error = "timeout" })
    end
    assert.same({ "warn: fibre rests for 60 s" }, policy.said)
    for i = 1, 20 do
      assert.equal("dsl", policy:pick({ host = ("www.site%d.example"):format(i) }).uplink)
    end
    assert.equal("dsl", policy:pick({ host = "www.bank.example" }).uplink)
    step_world:pass(60)
    local used = {}
    for i = 21, 40 do
      used[policy:pick({ host = ("www.site%d.example"):format(i) }).uplink] = true
    end
    assert.is_true(used.fibre)
  end)

  it("7: uses measured values", function()
    local policy = step(7)
    for i = 1, 3 do
      step_world.views[i].connect_time, step_world.views[i].rx_capacity = 0.01 * i, 1e6 * i
    end
    policy:tally(4) -- the first picks try each line
    assert.same({ fibre = 20, dsl = 0, lte = 0 }, policy:tally(20))
    assert.same({ fibre = 0, dsl = 20, lte = 0 }, policy:tally(20, { port = 6881 }))
    assert.equal("lte", policy:pick(nil, { "lte" }).uplink)
  end)
end)

describe("what ./dev docs makes", function()
  local MADE = { ["policy-api.md"] = "policy_api", ["policy-bounds.md"] = "policy_bounds", ["overview.svg"] = "overview" }

  for page, tool in pairs(MADE) do
    it(page .. " is what it would be today", function()
      local pipe = assert(io.popen(("luajit tests/tools/%s.lua"):format(tool)))
      local made = pipe:read "*a"
      pipe:close()
      assert.is_true(#made > 1000)
      assert.is_true(made == kit.text_of("docs/" .. page), "it is stale: run ./dev docs")
    end)
  end
end)
