-- What the lints share: the files of the tree, C without its comments, and the count of faults.
-- It stands beside the lints, which are run from any folder:
--   package.path = (arg[0]:match "^.*/" or "./") .. "?.lua;" .. package.path

local lint = { root = arg[1] or "." }

local faults = 0

-- Print a fault; line is nil where a fault has none.
function lint.fault(file, line, fmt, ...)
  faults = faults + 1
  io.write(file, line and ":" .. line or "", ": ", fmt:format(...), "\n")
end

-- Print the summary, and end with the status.
function lint.finish(fmt, ...)
  io.write(fmt:format(...), (", %d faults\n"):format(faults))
  os.exit(faults == 0 and 0 or 1)
end

function lint.quoted(word) return "'" .. word:gsub("'", "'\\''") .. "'" end

-- Begins the argument of lint.files(): all files but the hidden ones and the builds.
lint.OURS = [[. \( -path './.*' -o -path './build*' \) -prune -o -type f ]]

-- The sorted paths below the root that `find` prints for these arguments.
function lint.files(find)
  local command = ("cd %s && find %s 2>/dev/null | LC_ALL=C sort"):format(lint.quoted(lint.root), find)
  local pipe, paths = assert(io.popen(command)), {}
  for path in pipe:lines() do paths[#paths + 1] = path:gsub("^%./", "") end
  pipe:close()
  return paths
end

-- A file's text, or nil.
function lint.read(path)
  local f = io.open(lint.root .. "/" .. path, "rb")
  if not f then return nil end
  local text = f:read "*a"
  f:close()
  return text
end

-- A file's text. That it is missing is a fault.
function lint.need(path)
  local text = lint.read(path)
  if not text then lint.fault(path, nil, "is missing") end
  return text or ""
end

function lint.exists(path)
  local f = io.open(lint.root .. "/" .. path)
  if f then f:close() end
  return f ~= nil
end

-- for _, line, number in lint.lines(text)
function lint.lines(text)
  local number = 0
  return function(_, at)
    if at > #text then return nil end
    number = number + 1
    local stop = text:find("\n", at, true) or #text + 1
    return stop + 1, text:sub(at, stop - 1), number
  end, nil, 1
end

-- The last byte of the quoted text that begins there, by the rules of C and Lua.
function lint.quote_end(text, from)
  local quote, to = text:sub(from, from), from + 1
  while to <= #text and text:sub(to, to) ~= quote do
    to = to + (text:sub(to, to) == "\\" and 2 or 1)
  end
  return to
end

-- Blank out the comments and the quoted texts of C; line numbers stay.
function lint.code_only(text)
  local function blank(s) return (s:gsub("[^\n]", " ")) end
  local out, at = {}, 1
  while at <= #text do
    local from, kind = text:match("()([/\"'][/*]?)", at)
    if not from then break end
    local to
    if kind == "//" then
      to = (text:find("\n", from, true) or #text + 1) - 1
    elseif kind == "/*" then
      to = select(2, text:find("*/", from + 2, true)) or #text
    elseif kind:sub(1, 1) == "/" then
      to = from
    else
      to = lint.quote_end(text, from)
    end
    out[#out + 1] = text:sub(at, from - 1)
    out[#out + 1] = to == from and text:sub(from, from) or blank(text:sub(from, to))
    at = to + 1
  end
  out[#out + 1] = text:sub(at)
  return table.concat(out)
end

return lint
