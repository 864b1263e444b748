-- Lint: the rooms of the engine, by their folders. luajit tests/lint/rooms.lua [ROOT]
-- Each file stands in a room, and a room has at most 14 files of C and a README.md that names its headers. The .c
-- files of a room do not call each other in a circle, unless the README says why:
--   Circle: a.c b.c: reason

package.path = (arg[0]:match "^.*/" or "./") .. "?.lua;" .. package.path
local lint = require "lint"
local FILES_MAX = 14
local README_LINES_MAX = 50

local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

-- --- the files ---

-- "engine/lib/base" -> { c = { "buf.c" = true }, h = { "buf.h" = true } }
local rooms = {}
for _, file in ipairs(lint.files "engine -type f") do
  local room, name = file:match "^(engine/%l+/[%l_]+)/([^/]+)$"
  local ending = room and name:match "%.([ch])$"
  local storey = file:match "^engine/(%l+)/"
  if not (storey == "lib" or storey == "core" or storey == "app") or not (ending or room and name == "README.md") then
    lint.fault(file, 1, "stands in no room; files of C belong into engine/lib|core|app/ROOM")
  else
    rooms[room] = rooms[room] or { c = {}, h = {} }
    if ending then rooms[room][ending][name] = true end
  end
end

-- --- calls between files ---

-- Without comments, texts and preprocessor lines.
local function calling_code(text)
  return ("\n" .. lint.code_only(text)):gsub("\\\n", " "):gsub("\n[ \t]*#[^\n]*", "\n")
end

-- Functions that a text defines: name -> whether others may call it.
local function definitions(text)
  local found = {}
  for before, name in text:gmatch "\n(%a[^\n;{}=]-)%f[%w_]([%a_][%w_]*)%b()%s*\n{" do
    found[name] = not before:match "^static%f[%W]"
  end
  return found
end

-- Functions that a text calls by name, not through a member of a struct.
local function calls(text)
  local found = {}
  for at, name in text:gmatch "()%f[%w_]([%a_][%w_]*)%s*%(" do
    if not text:sub(at - 1, at - 1):match "[.>]" then found[name] = true end
  end
  return found
end

-- The functions that a header defines, without its prototypes, which look like calls.
local function inline_of(header)
  local found = {}
  for definition in calling_code(header):gmatch "\n%a[^\n;{}=]-%f[%w_][%a_][%w_]*%b()%s*\n%b{}" do
    found[#found + 1] = definition
  end
  return table.concat(found)
end

-- "a.c" -> { "b.c" = "a function of b.c that a.c calls" }. Inline functions of a.h belong to a.c.
local function calls_between(room, names)
  local home, code, own, graph = {}, {}, {}, {}
  for _, name in ipairs(names) do
    local header = lint.read(room .. "/" .. name:gsub("%.c$", ".h")) or ""
    code[name] = calling_code(lint.need(room .. "/" .. name)) .. inline_of(header)
    own[name], graph[name] = definitions(code[name]), {}
    for called, open in pairs(own[name]) do
      if open then home[called] = name end
    end
  end
  for _, name in ipairs(names) do
    for called in pairs(calls(code[name])) do
      local other = home[called]
      if other and other ~= name and own[name][called] == nil then
        local known = graph[name][other]
        graph[name][other] = known and known < called and known or called
      end
    end
  end
  return graph
end

-- All files that can be reached from one.
local function reached_from(graph, name)
  local seen, todo = {}, { name }
  while #todo > 0 do
    for other in pairs(graph[table.remove(todo)]) do
      if not seen[other] then
        seen[other] = true
        todo[#todo + 1] = other
      end
    end
  end
  return seen
end

-- "a.c b.c" -> its first file: the largest sets of files in which each can be reached from each.
local function circles_of(graph, names)
  local reach, found = {}, {}
  for _, name in ipairs(names) do reach[name] = reached_from(graph, name) end
  for _, name in ipairs(names) do
    local members = {}
    for _, other in ipairs(names) do
      if reach[name][other] and reach[other][name] then members[#members + 1] = other end
    end
    if #members > 1 then found[table.concat(members, " ")] = members[1] end
  end
  return found
end

-- "a.c calls b() of b.c, b.c calls …": the calls within a circle.
local function told(graph, members)
  local parts = {}
  for name in members:gmatch "%S+" do
    for _, other in ipairs(sorted_keys(graph[name])) do
      if (" " .. members .. " "):find(" " .. other .. " ", 1, true) then
        parts[#parts + 1] = ("%s calls %s() of %s"):format(name, graph[name][other], other)
      end
    end
  end
  return table.concat(parts, ", ")
end

-- --- the READMEs ---

local function check_headers(room, file, text)
  for _, header in ipairs(sorted_keys(rooms[room].h)) do
    if not text:find("`" .. header .. "`", 1, true) then lint.fault(file, 1, "does not name `%s`", header) end
  end
  local number = 0
  for line in text:gmatch "([^\n]*)\n" do
    number = number + 1
    for before, path in line:gmatch "(.?)%f[%w_/]([%w_/]+%.h)%f[^%w_]" do
      local other, name = path:match "^([%w_]+)/([%w_]+%.h)$"
      local there = not other and rooms[room].h[path]
      for _, storey in ipairs { "lib", "core", "app" } do
        local known = other and rooms[("engine/%s/%s"):format(storey, other)]
        there = there or known and known.h[name]
      end
      if before ~= "<" and not there then lint.fault(file, number, "header %s does not exist", path) end
    end
  end
  if number > README_LINES_MAX then lint.fault(file, number, "%d lines; a README has at most %d", number, README_LINES_MAX) end
end

-- "a.c b.c" -> the line of the README with the circle's reason, which may continue in the next lines.
local function circles_said(file, text)
  local said, number, lines = {}, 0, {}
  for line in text:gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
  for _, line in ipairs(lines) do
    number = number + 1
    local names = (line .. " " .. (lines[number + 1] or "")):match "^Circle: ([%w_. ]+): *%S"
    if names then
      local words = {}
      for name in names:gmatch "%S+" do words[#words + 1] = name end
      table.sort(words)
      said[table.concat(words, " ")] = number
    elseif line:match "^Circle" then
      lint.fault(file, number, "write it as \"Circle: a.c b.c: reason\"")
    end
  end
  return said
end

local n_rooms, n_circles = 0, 0
for _, room in ipairs(sorted_keys(rooms)) do
  n_rooms = n_rooms + 1
  local names = sorted_keys(rooms[room].c)
  if #names > FILES_MAX then lint.fault(room, 1, "%d files of C; a room has at most %d", #names, FILES_MAX) end

  local file = room .. "/README.md"
  local text = lint.read(file)
  if not text then
    lint.fault(file, 1, "is missing: what the room is for, its objects, its headers, where to begin")
    text = ""
  else
    check_headers(room, file, text)
  end

  local said = circles_said(file, text)
  local graph = calls_between(room, names)
  local found = circles_of(graph, names)
  for _, members in ipairs(sorted_keys(found)) do
    n_circles = n_circles + 1
    if not said[members] then
      lint.fault(room .. "/" .. found[members], 1, "a circle of calls, %s: %s", members, told(graph, members))
    end
  end
  for _, members in ipairs(sorted_keys(said)) do
    if not found[members] then lint.fault(file, said[members], "this circle does not exist (any more): %s", members) end
  end
end
if n_rooms == 0 then lint.fault("engine", 1, "no room found") end
lint.finish("rooms: %d rooms, %d circles", n_rooms, n_circles)
