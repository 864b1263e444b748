-- Properties of all shipped policies.
local kit = require "kit"

local NAMES = {
  "failover", "fair_share", "least_connections", "least_latency", "least_traffic", "per_client", "quota", "random", "round_robin",
  "rules", "sticky_site", "time_of_day",
}
table.sort(NAMES)
-- Policies whose interpreted pick leaves a little garbage, since it reads texts of the connection.
local READS_TEXT = { per_client = true, rules = true, sticky_site = true }
-- By design, not even over many equal lines.
local UNEVEN = { least_latency = true }

describe("the policies that ship", function()
  it("are these", function()
    local names = {}
    local list = assert(io.popen "ls policies")
    for file in list:lines() do
      names[#names + 1] = file:match "^(.*)%.lua$" or file
    end
    list:close()
    table.sort(names)
    assert.same(NAMES, names)
  end)

  for _, name in ipairs(NAMES) do
    describe(name, function()
      local file = { file = "policies/" .. name .. ".lua" }

      it("has its file's name and a description", function()
        kit.world {}
        local policy = kit.load(nil, file).policy
        assert.equal(name, policy.name)
        assert.truthy(policy.about:find "^%u.*%.$")
      end)

      it("opens with what it is for, its options and its trade-off, on a page", function()
        local text = kit.text_of(file.file)
        local head = text:match "^(.-)\n\n"
        for line in (head .. "\n"):gmatch "(.-)\n" do
          assert.truthy(line:find "^%-%-", line)
        end
        assert.truthy(text:match "\n%-%- Options: %l")
        assert.truthy(text:match "\n%-%- Trade%-off: %l")
        assert.is_true(select(2, text:gsub("\n", "")) <= 50)
      end)

      it("leaves no garbage", function()
        local specs = {}
        for i = 1, 4 do
          specs[i] = { name = "u" .. i, weight = i, active = i % 3, tier = i % 2 + 1 }
        end
        local garbage = kit.world(specs):load(nil, file):garbage(10000)
        assert.is_true(garbage == 0 or READS_TEXT[name] and garbage < 200 * 10000, tostring(garbage))
      end)

      it("chooses among one and among sixty-four", function()
        local specs = {}
        for i = 1, 64 do
          specs[i] = { name = "u" .. i }
        end
        local one = kit.world({ specs[1] }):load(nil, file)
        assert.equal("u1 u1", one:sequence(2))
        local world = kit.world(specs)
        local many, count, used = world:load(nil, file), {}, 0
        for i = 1, 6400 do
          local chosen = many:pick({ client = "192.0.2." .. i, host = "www.site" .. i .. ".org" }).names[1]
          count[chosen] = (count[chosen] or 0) + 1
          world:named(chosen).active = world:named(chosen).active + 1
        end
        for _, n in pairs(count) do
          used = used + (n > 40 and 1 or 0)
        end
        assert.is_true(used == 64 or UNEVEN[name], used)
      end)

      it("never chooses an uplink that is not a candidate", function()
        local specs = {}
        for i = 1, 4 do
          specs[i] = { name = "u" .. i }
        end
        local runner = kit.world(specs):load(nil, file)
        for i = 1, 200 do
          local ids = i % 2 == 0 and { 2, 4 } or { 1, 2, 3, 4 }
          local answer = runner:pick({ client = "192.0.2." .. i % 7, now = 1000 + i }, ids)
          assert.equal("use", answer.verdict)
        end
      end)

      it("refuses unknown parameters", function()
        local message = kit.fails(kit.load, nil, { file = file.file, params = { nonesuch = "1" } })
        assert.truthy(message:find(("policies/%s.lua:%%d+: unknown parameter 'nonesuch'"):format(name)))
      end)
    end)
  end
end)
