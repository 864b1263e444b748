-- Lint: docs/log.md tells of every event of the log, and of no other. luajit tests/lint/events.lua [ROOT]
-- Each event has an enumerator, a row in the engine's table, a caller, and a row in the page with the same level and
-- message. A row names the fields that the engine writes for that event, and no other.
-- Log lines that a page quotes in a fenced block have an event's level and message, and fields of that event.

package.path = (arg[0]:match "^.*/" or "./") .. "?.lua;" .. package.path
local lint = require "lint"
local HEADER, TABLE, PAGE = "engine/lib/base/log_events.h", "engine/lib/base/log_events.c", "docs/log.md"

local checked = 0
local function check(good, file, fmt, ...)
  checked = checked + 1
  if not good then lint.fault(file, nil, fmt, ...) end
end

-- --- the engine ---

local events, n_events = {}, 0 -- "uplink_up" -> { level, text }
local enumerators = {}
for name in lint.need(HEADER):gmatch "%f[%w_]EVENT_([%w_]+)," do enumerators[name] = true end
for name, level, id, texts in lint.need(TABLE):gmatch '%[EVENT_([%w_]+)%] =%s*{LOG_(%u+),%s*"([^"]*)",([^}]*)}' do
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
if n_events == 0 then lint.fault(TABLE, nil, "no event found") end

-- The functions of a file: { name, takes_event, body }.
local function functions_of(text)
  local found = {}
  for name, parameters, body in text:gmatch "\n%a[^\n;{}=]-%f[%w_]([%a_][%w_]*)(%b())%s*\n(%b{})" do
    found[#found + 1] = { name = name, takes_event = parameters:find("enum log_event", 1, true) ~= nil, body = body }
  end
  return found
end

local function keys_in(text)
  local keys = {}
  for call, rest in text:gmatch "%f[%w_]log_(%l%w*)(%b())" do
    local key = call == "hidden" and call or rest:match '^%([^,]*, "([^"]+)"'
    if key then keys[key] = true end
  end
  return keys
end

-- Without the calls that an `if` guards: their fields may belong to another event of the same lines.
local function always(text) return (text:gsub("%f[%w_]if %b()%s*log_%l%w*%b();", "")) end

-- Per event: the keys that are always written between its log_begin and the next one, and all keys of the function.
-- A function with an event for a parameter writes its keys for each event that is passed to it.
local near, around = {}, {}
local helpers = {} -- such functions of all files, by name

local function add(to, id, keys)
  to[id] = to[id] or {}
  for key in pairs(keys) do to[id][key] = true end
end

-- What such a function writes, by itself or by another one.
local function written_by(helper, own, part)
  local keys = keys_in(part(helper.body))
  for name in helper.body:gmatch "%f[%w_]([%a_][%w_]*)%([^()]*%f[%w_]event%f[^%w_]" do
    local other = own[name] or helpers[name]
    if other and other ~= helper then
      for key in pairs(written_by(other, own, part)) do keys[key] = true end
    end
  end
  return keys
end

local function note_calls(f, own)
  local whole, cuts = keys_in(f.body), {}
  for from, rest in f.body:gmatch "%f[%w_]()[%w_]*begin[%w_]*(%b())" do
    cuts[#cuts + 1] = { from = from, args = rest }
  end
  for i, cut in ipairs(cuts) do
    local segment = f.body:sub(cut.from, cuts[i + 1] and cuts[i + 1].from - 1)
    for name in cut.args:gmatch "%f[%w_]EVENT_([%w_]+)" do
      add(near, name:lower(), keys_in(always(segment)))
      add(around, name:lower(), whole)
    end
  end
  for called, args in f.body:gmatch "%f[%w_]([%a_][%w_]*)(%b())" do
    local helper = own[called] or helpers[called]
    for name in args:gmatch "%f[%w_]EVENT_([%w_]+)" do
      if helper then
        add(near, name:lower(), written_by(helper, own, always))
        add(around, name:lower(), written_by(helper, own, tostring))
      end
    end
  end
end

local files = {}
for _, path in ipairs(lint.files "engine -name '*.c'") do
  if path ~= TABLE then
    local found, own = functions_of("\n" .. lint.need(path)), {}
    files[#files + 1] = { functions = found, own = own }
    for _, f in ipairs(found) do
      if f.takes_event then own[f.name], helpers[f.name] = f, f end
    end
  end
end
for _, file in ipairs(files) do
  for _, f in ipairs(file.functions) do note_calls(f, file.own) end
end
for name in pairs(enumerators) do
  check(around[name:lower()], HEADER, "nothing logs EVENT_%s", name)
end

-- --- the page ---

local documented = {}
for line in lint.need(PAGE):gmatch "[^\n]+" do
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
    local fields = {}
    for key in rest:match("|([^|]*)|%s*$"):gmatch "`([^`]+)`" do
      fields[key] = true
      check(around[id] and around[id][key], PAGE, "%s has no field %s", id, key)
    end
    for key in pairs(near[id] or {}) do
      check(fields[key], PAGE, "%s: the field %s is missing", id, key)
    end
  elseif line:find "^| `" then
    lint.fault(PAGE, nil, "a row is not 'event, level, message, what happened, fields': %s", line)
  end
end
for id in pairs(events) do
  check(documented[id], PAGE, "the event %s is missing", id)
end

-- --- log lines in all pages ---

local by_line = {} -- "warn uplink down" -> its identifier
for id, event in pairs(events) do by_line[event.level .. " " .. event.text] = id end
local LEVELS = { debug = true, info = true, warn = true, error = true }

local function check_text_line(file, number, level, rest)
  local text = rest:match "^(.-)%s+[%l_]+=" or rest
  local id = by_line[level .. " " .. text]
  if not id then return lint.fault(file, number, "the log has no line '%s %s'", level, text) end
  local fields = rest:sub(#text + 1):gsub('"[^"]*"', "")
  for key in fields:gmatch "%s([%l_]+)=" do
    if not around[id][key] then lint.fault(file, number, "%s has no field %s", id, key) end
  end
end

local function check_json_line(file, number, id, text)
  if not events[id] or events[id].text ~= text then
    lint.fault(file, number, "the log has no event %s with the message '%s'", id, text)
  end
end

local quoted = 0
for _, path in ipairs(lint.files(lint.OURS .. "-name '*.md' -print")) do
  local fenced = false
  for _, line, number in lint.lines(lint.need(path)) do
    if line:find "^%s*```" then fenced = not fenced end
    local level, rest = line:gsub("^%d[%d%-]+T[%d:.]+Z ", ""):match "^(%l+) (.*)$"
    local id, text = line:match '^{.*"event":"([^"]*)","message":"([^"]*)"'
    if fenced and LEVELS[level] then
      quoted = quoted + 1
      check_text_line(path, number, level, rest)
    elseif fenced and id then
      quoted = quoted + 1
      check_json_line(path, number, id, text)
    end
  end
end

lint.finish("events: %d events, %d checks, %d quoted lines", n_events, checked, quoted)
