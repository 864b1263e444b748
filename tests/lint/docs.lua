-- Lint: the docs describe the command line correctly and completely.
--   luajit tests/lint/docs.lua BINARY [ROOT]
--
-- Every option and command is in docs/steerway.1, every config key in docs/steerway.conf.5, every shipped policy in
-- docs/steerway-policy.7. These pages and the other texts name no unknown option or key. `steerway check` accepts the
-- config of every example.

local binary = arg[1] or error("usage: luajit tests/lint/docs.lua BINARY [ROOT]", 0)
package.path = (arg[0]:match "^.*/" or "./") .. "?.lua;" .. package.path
local lint = require "lint"
lint.root = arg[2] or "."
local MAN, MAN_CONFIG, MAN_POLICY = "docs/steerway.1", "docs/steerway.conf.5", "docs/steerway-policy.7"

local checked = 0

-- Output (with stderr), and whether it succeeded.
local function run(...)
  local words = {}
  for i, word in ipairs { ... } do words[i] = lint.quoted(word) end
  local pipe = assert(io.popen(table.concat(words, " ") .. " 2>&1 </dev/null; echo \" $?\"", "r"))
  local text = pipe:read "*a"
  pipe:close()
  local out, code = text:match "^(.*) (%d+)\n$"
  return out, code == "0"
end

-- { port = "p", listen = "" }: the options of a command's help with their letters.
local function options_of(verb)
  local out, good = run(binary, "help", verb)
  if not good then error("steerway help " .. verb .. ": " .. out, 0) end
  local options = {}
  for line in out:gmatch "[^\n]+" do
    local letter, name = line:match "^  %-(%a), %-%-([%w-]+)"
    if not name then name = line:match "^      %-%-([%w-]+)" end
    if name then options[name] = letter or "" end
  end
  assert(next(options) or verb == "help", "the help of " .. verb .. " lists no options")
  return options
end

-- The commands of the overview, and the options of all of them.
local options, verbs = {}, {}
for verb in (run(binary, "help")):gmatch "\n  (%l[%l-]+)  " do
  if verb ~= "steerway" then verbs[#verbs + 1] = verb end
end
assert(#verbs > 3, "the overview lists no commands")
for _, verb in ipairs(verbs) do
  for name, letter in pairs(options_of(verb)) do options[name] = letter end
end

-- --- the man pages ---

local man, man_config, man_policy = lint.need(MAN), lint.need(MAN_CONFIG), lint.need(MAN_POLICY)

local documented = {}
for item in man:gmatch "\n%.It ([^\n]*Fl [^\n]*)" do
  local letter = item:match "^Fl (%a) " or ""
  for name in item:gmatch "Fl %-([%w-]+)" do documented[name] = letter end
end
for name, letter in pairs(options) do
  checked = checked + 1
  if documented[name] == nil then
    lint.fault(MAN, nil, "--%s is missing", name)
  elseif documented[name] ~= letter then
    lint.fault(MAN, nil, "--%s has the letter '%s', not '%s'", name, letter, documented[name])
  end
end
for path, text in pairs { [MAN] = man, [MAN_CONFIG] = man_config, [MAN_POLICY] = man_policy } do
  for name in text:gmatch "Fl %-([%w-]+)" do
    checked = checked + 1
    if not options[name] then lint.fault(path, nil, "unknown option --%s", name) end
  end
end

for _, verb in ipairs(verbs) do
  checked = checked + 1
  if not man:find("\n%.It Cm " .. verb:gsub("%-", "%%-") .. "\n") then lint.fault(MAN, nil, "the command %s is missing", verb) end
end

-- --- the config's keys, as the program lists them ---

local scratch = os.tmpname()
local function complaint_about(text)
  local f = assert(io.open(scratch, "w"))
  f:write(text)
  f:close()
  return (run(binary, "check", "--config", scratch))
end

local keys = { uplinks = true }
for name in pairs(options) do
  local key = name:gsub("%-", "_")
  if not complaint_about(("return { %s = { {} } }"):format(key)):find("unknown key", 1, true) then keys[key] = true end
end
local fields = complaint_about("return { uplinks = { { qqqqqqqqqq = 1 } } }"):match "%(known: ([%w_, ]+)%)"
for field in assert(fields, "the program does not tell the keys of an uplink"):gmatch "[%a_][%w_]*" do keys[field] = true end
os.remove(scratch)

local documented_keys = {}
for item in man_config:gmatch "\n%.It Va ([^\n]*)" do
  for key in item:gmatch "[%a_][%w_]*" do documented_keys[key] = true end
end
for key in pairs(keys) do
  checked = checked + 1
  if not documented_keys[key] then lint.fault(MAN_CONFIG, nil, "the config's key %s is missing", key) end
end
for key in pairs(documented_keys) do
  checked = checked + 1
  if not keys[key] then lint.fault(MAN_CONFIG, nil, "a config has no key %s", key) end
end

-- --- the shipped policies ---

local shipped = {}
for _, path in ipairs(lint.files "policies -name '*.lua'") do
  local name = path:match "([^/]+)%.lua$"
  shipped[name] = true
  checked = checked + 1
  local there = man_policy:find("\n.It Ic " .. name .. "\n", 1, true)
  if not there then lint.fault(MAN_POLICY, nil, "the policy %s is missing", name) end
end
for name in man_policy:gmatch "\n%.It Ic ([^\n]+)" do
  checked = checked + 1
  if not shipped[name] then lint.fault(MAN_POLICY, nil, "unknown policy %s", name) end
end

-- --- options in the other texts ---

for _, path in ipairs(lint.files "README.md docs/*.md examples/*/*.md examples/*/*.lua policies/*.lua") do
  for _, line, number in lint.lines(lint.need(path)) do
    local command = line:match "steerway start.*" or line:match "steerway check.*" or line:match "steerway list.*"
      or line:match "dev run.*"
    for name in (command or ""):gsub("[|;`].*", ""):gmatch "%-%-(%a[%w-]*)" do
      checked = checked + 1
      if not options[name] then lint.fault(path, number, "unknown option --%s", name) end
    end
  end
end

-- --- the examples ---

local examples = lint.files "examples -mindepth 1 -maxdepth 1 -type d"
if #examples == 0 then lint.fault("examples", nil, "no examples found") end
for _, folder in ipairs(examples) do
  checked = checked + 1
  local config = folder .. "/config.lua"
  local out, good = run(binary, "check", "--config", lint.root .. "/" .. config)
  if not good then lint.fault(config, nil, "%s", out) end
  lint.need(folder .. "/README.md")
end

lint.finish("docs: %d checks", checked)
