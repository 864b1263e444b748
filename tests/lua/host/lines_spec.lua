local lines = require "steerway.host.lines"
local sets = require "steerway.host.sets"

-- The rows of tests/lua/host/lines.txt, which the engine's test reads too.
local function rows()
  local all = {}
  for row in io.lines "tests/lua/host/lines.txt" do
    local kind, line, found = row:match "^(%l+)\t([^\t]*)\t([^\t]*)$"
    if kind then
      all[#all + 1] = { kind = kind, line = line:gsub("\\(.)", { t = "\t", r = "\r" }), found = found, row = row }
    else
      assert(row:find "^# ", row)
    end
  end
  return all
end

local SIGNS = { [1] = "=", [2] = ".", [3] = "+" }

-- In the table's notation.
local function names_of(line)
  local found = {}
  local verdict = lines.names(line, function(name, covers)
    found[#found + 1] = SIGNS[covers] .. name
  end)
  if verdict ~= "taken" then
    found[#found + 1] = verdict
  end
  return table.concat(found, " ")
end

local function range_of(line)
  local range, known = lines.range(line)
  if not range then
    return known and "empty" or "unknown"
  end
  return pcall(sets.cidrs, { range }) and range or "unknown"
end

describe("a line of a list", function()
  local all = rows()

  it("is taken as the table says", function()
    assert.is_true(#all > 100)
    for _, row in ipairs(all) do
      local read = row.kind == "names" and names_of or range_of
      assert.equal(row.found, read(row.line), row.row)
    end
  end)

  it("of names is taken the same in a whole list", function()
    for _, row in ipairs(all) do
      if row.kind == "names" and not row.found:find "empty" then
        local set = sets.domains({ file = "l" }, { read = function() return "other.test\n" .. row.line .. "\n" end })
        local count = 0
        for sign, name in row.found:gmatch "([=.+])(%S+)" do
          count = count + 1
          assert.equal(sign ~= ".", sets.match(set, name), row.row)
          assert.equal(sign ~= "=", sets.match(set, "x." .. name), row.row)
        end
        assert.equal(("domains (%d)"):format(count + 1), tostring(set), row.row)
      end
    end
  end)

  it("may be so long", function()
    local line = "10.0.0.1 a.com"
    line = line .. (" "):rep(65536 - #line)
    assert.equal("=a.com", names_of(line))
    assert.equal("unknown", names_of(line .. " "))
    line = "10.0.0.1" .. (" "):rep(65536 - 8)
    assert.equal("10.0.0.1", range_of(line))
    assert.equal("unknown", range_of(line .. " "))
  end)
end)
