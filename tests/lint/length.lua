-- Lint: no source file over 500 lines. luajit tests/lint/length.lua [ROOT]

local root = arg[1] or "."
local LIMIT = 500
-- Scripts without an ending in their names.
local SCRIPTS = { "dev", ".ci/run", "tests/lint/selftest" }

local faults, files = 0, 0
local function check(path, must_exist)
  local f = io.open(path)
  if not f then
    assert(not must_exist, path)
    return
  end
  files = files + 1
  local n = 0
  for _ in f:lines() do n = n + 1 end
  f:close()
  if n > LIMIT then
    faults = faults + 1
    io.write(("%s:%d: %d lines; a file has at most %d: split it by what its parts are for\n")
      :format(path:sub(#root + 2), LIMIT + 1, n, LIMIT))
  end
end

local list = assert(io.popen(([[cd '%s' && find . \( -path './.*' -o -path './build*' \) -prune -o -type f \( ]]
  .. [[-name '*.[ch]' -o -name '*.lua' -o -name '*.py' -o -name '*.sh' -o -name '*.md' -o -name '*.cmake' ]]
  .. [[-o -name CMakeLists.txt \) -print | LC_ALL=C sort]]):format(root)))
for path in list:lines() do check(root .. path:sub(2), true) end
list:close()
for _, name in ipairs(SCRIPTS) do check(root .. "/" .. name) end
io.write(("length: %d files, %d faults\n"):format(files, faults))
os.exit(faults == 0 and files > 0 and 0 or 1)
