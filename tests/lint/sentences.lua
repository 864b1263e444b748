-- Lint: no sentence that a user reads has more than 25 words. luajit tests/lint/sentences.lua [ROOT]
-- It reads the Markdown pages, the man pages, and the texts in quotes in the C and Lua code (messages and help).
-- A name in code, a URL and a placeholder count as one word; so does a run of names, such as a list of keys.

package.path = (arg[0]:match "^.*/" or "./") .. "?.lua;" .. package.path
local lint = require "lint"

local LIMIT = 25
local MESSAGE_MIN = 4 -- shorter texts in code are names, keys and formats

local sentences = 0

-- Replace by something short, and keep the line breaks: line numbers are counted by them.
local function shrink(text, by) return by .. text:gsub("[^\n]", "") end

-- Whether a word ends its sentence: the next begins with a capital, or is a name in code.
local function ends(word, following)
  return word:find "[.!?:;][)\"'*]*$" and following:find "^[(\"'*]*[%u`]"
end

local function is_name(word) return word:find "^%(?`[^`]*`[%p]*$" ~= nil end

local function check_words(file, words)
  local count, first = 0, nil
  for i, word in ipairs(words) do
    first = first or word
    local in_run = i > 1 and first ~= word and is_name(word.text) and is_name(words[i - 1].text)
    if word.text:find "[%w%%`\128-\255]" and not in_run then count = count + 1 end
    if not words[i + 1] or ends(word.text, words[i + 1].text) then
      sentences = sentences + 1
      if count > LIMIT then
        local start = {}
        for k = 0, 7 do start[#start + 1] = words[first.at + k].text end
        lint.fault(file, first.line, "a sentence of %d words, at most %d: split it: %s ...", count, LIMIT,
          table.concat(start, " "))
      end
      count, first = 0, nil
    end
  end
end

-- One paragraph, list item, cell or message, which begins at that line.
local function check_block(file, line, text)
  text = text:gsub("`[^`]*`", function(code) return shrink(code, "`x`") end)
  text = text:gsub("!?%[([^%]]*)%]%([^%s)]*%)", "%1"):gsub("%f[%w]%a+://[^%s)]*%w", "`x`")
  local words, at = {}, 1
  for from, word in text:gmatch "()(%S+)" do
    for _ in text:sub(at, from - 1):gmatch "\n" do line = line + 1 end
    at = from
    words[#words + 1] = { text = word, line = line, at = #words + 1 }
  end
  check_words(file, words)
end

-- Gathers lines into blocks.
local function gatherer(file)
  local kept, line = {}, nil
  local self = {}
  function self.add(number, text)
    if not line then line = number end
    while #kept < number - line do kept[#kept + 1] = "" end
    kept[#kept + 1] = text
  end
  function self.flush()
    if line then check_block(file, line, table.concat(kept, "\n")) end
    kept, line = {}, nil
  end
  return self
end

local function check_markdown_line(file, block, number, line)
  local item = line:match "^%s*[-*]%s+(.*)$" or line:match "^%s*%d+%.%s+(.*)$"
  if line:find "^%s*|" then
    block.flush()
    for cell in line:gsub("\\|", "/"):gmatch "[^|]+" do check_block(file, number, cell) end
  elseif item then
    block.flush()
    block.add(number, item)
  elseif line:find "^#" or line:find "^%s*$" or line:find "^%s*<" then
    block.flush()
    check_block(file, number, line:match "^#+(.*)" or "")
  else
    block.add(number, line)
  end
end

local function check_markdown(file, text)
  local block, fenced = gatherer(file), false
  for _, line, number in lint.lines(text) do
    if line:find "^%s*```" then
      block.flush()
      fenced = not fenced
    elseif not fenced then
      check_markdown_line(file, block, number, line)
    end
  end
  block.flush()
end

-- --- mdoc ---

local INLINE = {} -- macros within a sentence; others end it
for name in ("Nm Em Fl Ar Cm Ql Dq Pa Ev Xr Va Dv Sx Ic Sy Li No Ns Pq Po Pc Op Oo Oc Sm Sq Ap"):gmatch "%a+" do
  INLINE[name] = true
end
local PROSE = { No = true, Em = true, Dq = true, Po = true, Pc = true, Sm = true }

-- A macro's line as text: its arguments are names, its punctuation stays.
local function macro_text(line)
  local macro, rest = line:match "^%.(%u%l)%s*(.*)$"
  if macro == "Sm" then return "" end
  if macro == "Nm" and not rest:find "%w" then return "`steerway`" .. rest end
  local text = rest:gsub("%f[%S]%u%l%f[%s%z]%s*", function(name) return INLINE[name:sub(1, 2)] and "" or nil end)
  local body, tail = text:match "^(.-)%s*([.,;:)]*)%s*$"
  if PROSE[macro] then return body .. tail end
  body = body:gsub(" +([.,;:])", "%1")
  if macro == "Ql" or macro == "Pq" or macro == "Dq" then return (body == "" and "" or "`x`") .. tail end
  return (body:gsub("%S+", "`x`")) .. tail
end

local function check_man(file, text)
  local block, literal, prose = gatherer(file), false, false
  for _, line, number in lint.lines(text) do
    local macro = line:match "^%.(%a%a)"
    if macro == "Sh" then prose = not line:find "SYNOPSIS" end
    if macro == "Bd" or macro == "Ed" then literal = macro == "Bd" end
    if literal or not prose or line == "" or (macro and not INLINE[macro]) then
      block.flush()
    else
      block.add(number, macro and macro_text(line) or line)
    end
  end
  block.flush()
end

-- --- texts in quotes ---

local function check_message(file, line, text)
  text = text:gsub("\\n", "\n\n"):gsub("\\.", "'")
  text = text:gsub("%%[-+ #0-9.*]*[hlzj]*%a", "%%s")
  for part in (text .. "\n\n"):gmatch "(.-)\n%s*\n" do
    local count = select(2, part:gsub("%S+", ""))
        local names = not part:find "%p" and not part:find "%f[%a]the%f[%A]" -- a list that the code splits
    if count >= MESSAGE_MIN and not names then check_block(file, line, part) end
  end
end

-- Adjacent texts are one: by C's rule, or joined by Lua's `..`. Names between them are placeholders.
local function check_code(file, text, comment, glue)
  local at, line, joined, joined_line = 1, 1, nil, nil
  local function count_to(to)
    for _ in text:sub(at, to):gmatch "\n" do line = line + 1 end
    at = to + 1
  end
  local function flush()
    if joined then check_message(file, joined_line, joined) end
    joined = nil
  end
  while at <= #text do
    local from = text:find("[\"'%" .. comment:sub(1, 1) .. "%[]", at)
    if not from then break end
    local between = text:sub(at, from - 1)
    if joined and not between:find(glue) then flush() end
    count_to(from - 1)
    local char, to = text:sub(from, from), from
    if text:find("^//", from) and comment == "//" or text:find("^%-%-", from) and comment == "--" then
      to = (text:find("\n", from, true) or #text + 1) - 1
    elseif comment == "//" and text:find("^/%*", from) then
      to = select(2, text:find("*/", from + 2, true)) or #text
    elseif comment == "--" and text:find("^%[=*%[", from) then
      to = select(2, text:find("]" .. text:match("^%[(=*)%[", from) .. "]", from, true)) or #text
    elseif char == '"' or char == "'" then
      to = lint.quote_end(text, from)
      if char == '"' or comment == "--" then
        if joined and between:find "%a" then joined = joined .. "%s" end
        joined, joined_line = (joined or "") .. text:sub(from + 1, to - 1), joined and joined_line or line
      end
    elseif joined then
      flush()
    end
    count_to(to)
  end
  flush()
end

local function check_c(file, text) check_code(file, text, "//", "^[%s%w_]*$") end
local function check_lua(file, text) check_code(file, text, "--", "^%s*%.%.[%s%w_.]*$") end

local function check_files(find, check)
  for _, path in ipairs(lint.files(find)) do check(path, lint.need(path)) end
end

check_files(lint.OURS .. "-name '*.md' -print", check_markdown)
check_files([[docs -name '*.[1-8]']], check_man)
check_files([[engine -name '*.c']], check_c)
check_files([[lua policies -name '*.lua']], check_lua)
lint.finish("sentences: %d sentences", sentences)
