-- Lint: words that this project does not use. luajit tests/lint/words.lua [ROOT]
-- Code, comments and pages say "byte", not "octet", except on a line that quotes an RFC. Messages name what is missing
-- or unknown, instead of "there is no …" and the like.

local root = arg[1] or "."
-- A change of the log's fields is described by its old words.
local SPARED = { ["CHANGELOG.md"] = true, ["tests/lint/words.lua"] = true, ["tests/lint/selftest"] = true }
-- In messages, in lower case.
local PHRASES = { "there is no ", "there are no ", "there need not be", "is none of " }

local faults, files = 0, 0

local function fault(file, line, text)
  faults = faults + 1
  io.write(("%s:%d: %s\n"):format(file, line, text))
end

local function check_octets(file, number, line)
  local without = line:gsub("octet%-stream", "")
  if without:lower():find "octet" and not line:find "RFC" then
    fault(file, number, 'says "octet": write "byte"')
  end
end

local function check_messages(file, number, line)
  for text in line:gmatch '"([^"]*)"' do
    for _, phrase in ipairs(PHRASES) do
      if text:lower():find(phrase, 1, true) then
        fault(file, number, ('a message says "%s": name what is missing'):format(phrase))
      end
    end
  end
end

local function check_files(find, check)
  local list = assert(io.popen(("cd '%s' && find %s 2>/dev/null | LC_ALL=C sort"):format(root, find)))
  for path in list:lines() do
    local name, number = path:gsub("^%./", ""), 0
    if not SPARED[name] then
      files = files + 1
      for line in io.lines(root .. "/" .. path) do
        number = number + 1
        check(name, number, line)
      end
    end
  end
  list:close()
end

local ours = [[. \( -path './.*' -o -path './build*' \) -prune -o -type f \( ]]
local names = {}
for ending in ("c h lua py sh md 1"):gmatch "%S+" do names[#names + 1] = "-name '*." .. ending .. "'" end
check_files(ours .. table.concat(names, " -o ") .. [[ -o -name dev \) -print]], check_octets)
check_files([[engine lua policies -type f \( -name '*.c' -o -name '*.h' -o -name '*.lua' \)]], check_messages)
io.write(("words: %d files, %d faults\n"):format(files, faults))
os.exit(faults == 0 and 0 or 1)
