-- Lint: the Markdown pages link only to files that exist, and docs/architecture.md and the rooms' READMEs name only
-- sources that exist. luajit tests/lint/links.lua [ROOT]

local root = arg[1] or "."
local faults, links, names = 0, 0, 0

local function exists(path)
  local f = io.open(path)
  if f then f:close() end
  return f ~= nil
end

-- Sources by the end of their path: "x.c" and "room/x.c" name engine/storey/room/x.c.
local sources = {}
local found = assert(io.popen(("cd '%s' && find engine lua tests -name '*.[ch]' -o -name '*.lua' 2>/dev/null"):format(root)))
for path in found:lines() do
  local rest = path
  while rest do
    sources[rest] = true
    rest = rest:match("^[^/]+/(.+)$")
  end
end
found:close()

local function names_sources(file)
  return file == "docs/architecture.md" or file:match("^engine/.*/README%.md$") ~= nil
end

local function fault(...)
  faults = faults + 1
  io.write(("%s:%d: %s does not exist\n"):format(...))
end

local function check(file)
  local folder = file:match("^(.*)/[^/]*$")
  local number = 0
  for line in io.lines(root .. "/" .. file) do
    number = number + 1
    for target in line:gmatch("%]%(([^)%s]+)%)") do
      local path = target:match("^([^#]+)") -- the part after # is a place within the page
      if path and not path:match("^%a+:") then
        links = links + 1
        if not exists(root .. "/" .. (folder and folder .. "/" or "") .. path) then fault(file, number, path) end
      end
    end
    for name in line:gmatch("`([%w_/]+%.%a+)`") do
      local is_pattern = name:match("%f[%u]%u%u") -- STOREY/ROOM/x.c
      if names_sources(file) and not is_pattern and (name:match("%.[ch]$") or name:match("%.lua$")) then
        names = names + 1
        if not sources[name] then fault(file, number, name) end
      end
    end
  end
end

local list = assert(io.popen(([[cd '%s' && find . \( -path './.*' -o -path './build*' \) -prune -o -name '*.md' -print]]
  .. [[ | LC_ALL=C sort]]):format(root)))
for path in list:lines() do check(path:sub(3)) end
list:close()
io.write(("links: %d links, %d names of sources, %d faults\n"):format(links, names, faults))
os.exit(faults == 0 and 0 or 1)
