-- Lint: no source file over 500 lines. luajit tests/lint/length.lua [ROOT]

package.path = (arg[0]:match "^.*/" or "./") .. "?.lua;" .. package.path
local lint = require "lint"
local LIMIT = 500
-- Scripts without an ending in their names.
local SCRIPTS = { "dev", ".ci/run", "tests/lint/selftest" }

local files = 0
local function check(path)
  local text = lint.read(path)
  if not text then return end
  files = files + 1
  local n = 0
  for _ in lint.lines(text) do n = n + 1 end
  if n > LIMIT then
    lint.fault(path, LIMIT + 1, "%d lines; a file has at most %d: split it by what its parts are for", n, LIMIT)
  end
end

for _, path in ipairs(lint.files(lint.OURS .. [[\( -name '*.[ch]' -o -name '*.lua' -o -name '*.py' -o -name '*.sh' ]]
  .. [[-o -name '*.md' -o -name '*.cmake' -o -name CMakeLists.txt \) -print]])) do check(path) end
for _, name in ipairs(SCRIPTS) do check(name) end
if files == 0 then lint.fault(".", nil, "no source file found") end
lint.finish("length: %d files", files)
