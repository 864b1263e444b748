-- What all policies that ship have in common.
local kit = require "kit"

local NAMES = { "failover", "least_connections", "random", "round_robin" }

local function text_of(name)
  local f = assert(io.open("policies/" .. name .. ".lua"))
  local text = f:read "*a"
  f:close()
  return text
end

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

      it("bears its file's name and says what it is for", function()
        kit.world {}
        local policy = kit.load(nil, file).policy
        assert.equal(name, policy.name)
        assert.truthy(policy.about:find "^%u.*%.$")
      end)

      it("opens with what it is for, its options and its trade-off, on a page", function()
        local text = text_of(name)
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
        assert.equal(0, kit.world(specs):load(nil, file):garbage(10000))
      end)

      it("chooses among one and among sixty-four", function()
        local specs = {}
        for i = 1, 64 do
          specs[i] = { name = "u" .. i }
        end
        assert.equal("u1", kit.world({ specs[1] }):load(nil, file):sequence(1))
        local count, used = kit.world(specs):load(nil, file):tally(6400), 0
        for _, n in pairs(count) do
          used = used + (n > 40 and 1 or 0)
        end
        assert.equal(64, used)
      end)

      it("takes no parameter", function()
        local message = kit.fails(kit.load, nil, { file = file.file, params = { x = "1" } })
        assert.truthy(message:find(("policies/%s.lua:%%d+: unknown parameter 'x' %%(it takes none%%)"):format(name)))
      end)
    end)
  end
end)
