-- Lint: what the Markdown pages link to in this project is there. luajit tests/lint/links.lua [ROOT]

local root = arg[1] or "."
local faults, links = 0, 0

local function exists(path)
  local f = io.open(path)
  if f then f:close() end
  return f ~= nil
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
        if not exists(root .. "/" .. (folder and folder .. "/" or "") .. path) then
          faults = faults + 1
          io.write(("%s:%d: %s does not exist\n"):format(file, number, path))
        end
      end
    end
  end
end

local list = assert(io.popen(([[cd '%s' && find . \( -path './.*' -o -path './build*' \) -prune -o -name '*.md' -print]]
  .. [[ | LC_ALL=C sort]]):format(root)))
for path in list:lines() do check(path:sub(3)) end
list:close()
io.write(("links: %d links, %d faults\n"):format(links, faults))
os.exit(faults == 0 and 0 or 1)
