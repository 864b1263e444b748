-- Lint: docs/log.md tells of every event of the log, and of no other. luajit tests/lint/events.lua [ROOT]
-- Each event has an enumerator, a row in the engine's table, a caller, and a row in the page with the same level and
-- message. Each key of a field that the engine writes stands in the page, and the page names no other.

local root = arg[1] or "."
local HEADER, TABLE, PAGE = "engine/lib/base/log_events.h", "engine/lib/base/log_events.c", "docs/log.md"

local faults, checked = 0, 0
local function fault(file, fmt, ...)
  faults = faults + 1
  io.write(("%s: %s\n"):format(file, fmt:format(...)))
end
local function check(good, file, fmt, ...)
  checked = checked + 1
  if not good then fault(file, fmt, ...) end
end

local function read(path)
  local f = io.open(root .. "/" .. path)
  if not f then
    fault(path, "is missing")
    return ""
  end
  local text = f:read "*a"
  f:close()
  return text
end

-- --- the engine ---

local events, n_events = {}, 0 -- "uplink_up" -> { level, text }
local enumerators = {}
for name in read(HEADER):gmatch "%f[%w_]EVENT_([%w_]+)," do enumerators[name] = true end
for name, level, id, texts in read(TABLE):gmatch '%[EVENT_([%w_]+)%] =%s*{LOG_(%u+),%s*"([^"]*)",([^}]*)}' do
  local text = {}
  for part in texts:gmatch '"([^"]*)"' do text[#text + 1] = part end
  check(enumerators[name], TABLE, "EVENT_%s is not in %s", name, HEADER)
  check(id == name:lower(), TABLE, "EVENT_%s has the identifier '%s'", name, id)
  events[id] = { level = level:lower(), text = table.concat(text) }
  enumerators[name] = "described"
  n_events = n_events + 1
end
for name, state in pairs(enumerators) do
  check(state == "described", TABLE, "EVENT_%s has no row", name)
end
if n_events == 0 then fault(TABLE, "no event found") end

local used, keys = {}, {}
local list = assert(io.popen(("cd '%s' && find engine -name '*.c' | LC_ALL=C sort"):format(root)))
for path in list:lines() do
  if path ~= TABLE then
    local text = read(path)
    for name in text:gmatch "%f[%w_]EVENT_([%w_]+)" do used[name] = true end
    for key in text:gmatch 'log_%l%w+%(%&?%w+, "([^"]+)"' do keys[key] = path end
  end
end
list:close()
for name in pairs(enumerators) do
  check(used[name], HEADER, "nothing logs EVENT_%s", name)
end

-- --- the page ---

local documented, fields = {}, {}
for line in read(PAGE):gmatch "[^\n]+" do
  local id, level, text, rest = line:match "^| `([%w_]+)` | (%l+) | (.-) | (.*)$"
  if id then
    check(not documented[id], PAGE, "%s stands there twice", id)
    documented[id] = true
    local event = events[id]
    check(event, PAGE, "the log has no event %s", id)
    if event then
      check(event.level == level, PAGE, "%s has the level %s, not %s", id, event.level, level)
      check(event.text == text, PAGE, "%s has the message '%s'", id, event.text)
    end
    for key in rest:match("|([^|]*)|%s*$"):gmatch "`([^`]+)`" do fields[key] = id end
  elseif line:find "^| `" then
    fault(PAGE, "a row is not 'event, level, message, what happened, fields': %s", line)
  end
end
for id in pairs(events) do
  check(documented[id], PAGE, "the event %s is missing", id)
end
for key, id in pairs(fields) do
  check(keys[key], PAGE, "%s: nothing logs the field %s", id, key)
end
for key, path in pairs(keys) do
  check(fields[key], PAGE, "the field %s, which %s logs, is missing", key, path)
end

io.write(("events: %d events, %d checks, %d faults\n"):format(n_events, checked, faults))
os.exit(faults == 0 and 0 or 1)
