-- Tests of @NAME@. Run them after each change:
--   @COMMAND@

local testing = require "steerway.testing"

local folder = debug.getinfo(1, "S").source:match "^@(.*/)" or "" -- the folder of this file and of the policy

describe("@NAME@", function()
  local world, policy

  before_each(function()
    world = testing.world {
      { name = "fibre" },
      { name = "dsl" },
      { name = "lte", tags = { "metered" } },
    }
    policy = world:load(folder .. "@FILE@")
  end)

  it("shares among the lines that cost nothing", function()
    assert.same({ fibre = 50, dsl = 50, lte = 0 }, policy:tally(100))
  end)

  it("goes where the fewest connections are", function()
    world:named("fibre").active = 5
    assert.equal("dsl", policy:pick({ host = "www.example.org" }).uplink)
  end)

  it("takes the metered line when the others are down", function()
    world:named("fibre").up = false
    world:named("dsl").up = false
    assert.equal("lte", policy:pick().uplink)
  end)
end)
