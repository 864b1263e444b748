-- Lint: words that this project does not use. luajit tests/lint/words.lua [ROOT]
-- Code, comments and pages say "byte", not "octet", except on a line that quotes an RFC. Messages name what is missing
-- or unknown, instead of "there is no …" and the like. Messages and pages use no words of old books.

package.path = (arg[0]:match "^.*/" or "./") .. "?.lua;" .. package.path
local lint = require "lint"

-- A change of the log's fields is described by its old words.
local SPARED = { ["CHANGELOG.md"] = true, ["tests/lint/words.lua"] = true, ["tests/lint/selftest"] = true }
-- In messages, in lower case.
local PHRASES = { "there is no ", "there are no ", "there need not be", "is none of " }
-- In messages and pages, in lower case: they make readers stop.
local OLD_WORDS = { anew = "again", heed = "use", midst = "middle" }

local files = 0

local function check_octets(file, number, line)
  local without = line:gsub("octet%-stream", "")
  if without:lower():find "octet" and not line:find "RFC" then
    lint.fault(file, number, 'says "octet": write "byte"')
  end
end

local function check_old_words(file, number, text)
  for word in text:lower():gmatch "%a+" do
    if OLD_WORDS[word] then lint.fault(file, number, 'says "%s": write "%s"', word, OLD_WORDS[word]) end
  end
end

local function check_messages(file, number, line)
  for text in line:gmatch '"([^"]*)"' do
    check_old_words(file, number, text)
    for _, phrase in ipairs(PHRASES) do
      if text:lower():find(phrase, 1, true) then
        lint.fault(file, number, 'a message says "%s": name what is missing', phrase)
      end
    end
  end
end

local function check_files(find, check)
  for _, name in ipairs(lint.files(find)) do
    if not SPARED[name] then
      files = files + 1
      for _, line, number in lint.lines(lint.need(name)) do check(name, number, line) end
    end
  end
end

local names = {}
for ending in ("c h lua py sh md [1-8]"):gmatch "%S+" do names[#names + 1] = "-name '*." .. ending .. "'" end
check_files(lint.OURS .. [[\( ]] .. table.concat(names, " -o ") .. [[ -o -name dev \) -print]], check_octets)
check_files([[engine lua policies -type f \( -name '*.c' -o -name '*.h' -o -name '*.lua' \)]], check_messages)
check_files(lint.OURS .. [[\( -name '*.md' -o -name '*.[1-8]' \) -print]], check_old_words)
lint.finish("words: %d files", files)
