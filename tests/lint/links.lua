-- Lint: the Markdown pages link only to files that exist, and docs/architecture.md and the rooms' READMEs name only
-- sources that exist. luajit tests/lint/links.lua [ROOT]

package.path = (arg[0]:match "^.*/" or "./") .. "?.lua;" .. package.path
local lint = require "lint"

local links, names = 0, 0

-- Sources by the end of their path: "x.c" and "room/x.c" name engine/storey/room/x.c.
local sources = {}
for _, path in ipairs(lint.files "engine lua tests -name '*.[ch]' -o -name '*.lua'") do
  local rest = path
  while rest do
    sources[rest] = true
    rest = rest:match("^[^/]+/(.+)$")
  end
end

-- An installed tree has the pages without the sources.
local function names_sources(file)
  return next(sources) and (file == "docs/architecture.md" or file:match("^engine/.*/README%.md$") ~= nil)
end

local function check_place(file, number, path, there)
  if not there then lint.fault(file, number, "%s does not exist", path) end
end

local function check(file)
  local folder = file:match("^(.*)/[^/]*$")
  for _, line, number in lint.lines(lint.need(file)) do
    for target in line:gmatch("%]%(([^)%s]+)%)") do
      local path = target:match("^([^#]+)") -- the part after # is a place within the page
      if path and not path:match("^%a+:") then
        links = links + 1
        check_place(file, number, path, lint.exists((folder and folder .. "/" or "") .. path))
      end
    end
    for name in line:gmatch("`([%w_/]+%.%a+)`") do
      local is_pattern = name:match("%f[%u]%u%u") -- STOREY/ROOM/x.c
      if names_sources(file) and not is_pattern and (name:match("%.[ch]$") or name:match("%.lua$")) then
        names = names + 1
        check_place(file, number, name, sources[name])
      end
    end
  end
end

for _, path in ipairs(lint.files(lint.OURS .. "-name '*.md' -print")) do check(path) end
lint.finish("links: %d links, %d names of sources", links, names)
