-- Makes docs/policy-api.md from the editor types and from the library's comments.
--   luajit tests/tools/policy_api.lua [ROOT] > docs/policy-api.md

local root = arg and arg[1] or "."

local LIBRARY = { "balance", "sticky", "rules", "quota", "hours", "testing" }
-- Classes in files other than types.lua.
local MORE = { ["lua/steerway/host/lru.lua"] = true }

local function lines_of(path)
  local list = {}
  for line in io.lines(root .. "/" .. path) do
    list[#list + 1] = line
  end
  return list
end

-- "---@field name? type  meaning": two blanks end a type that contains blanks.
local function field_of(line)
  local name, rest = line:match "^%-%-%-@field (%S+) (.*)$"
  if not name then
    return nil
  end
  local type, about = rest:match "^(.-)  +(.*)$"
  return { name = name, type = type or rest, about = about or "" }
end

-- All classes of a file: name, the comment before it, and its fields.
local function classes_of(path)
  local classes, said, class = {}, {}, nil
  for _, line in ipairs(lines_of(path)) do
    local name, about = line:match "^%-%-%-@class (%S+)%s*(.*)$"
    local field = field_of(line)
    if name then
      class = { name = name, about = #said > 0 and table.concat(said, " ") or about, fields = {} }
      classes[#classes + 1] = class
      said = {}
    elseif field and class then
      class.fields[#class.fields + 1] = field
    elseif line:match "^%-%-%-[^@]" then
      said[#said + 1] = line:sub(4)
    elseif not line:match "^%-%-%-" then
      said, class = {}, nil
    end
  end
  return classes
end

-- All documented functions of a module: "balance.smooth()", "sticky(ctx, o)", with their comments.
local function functions_of(module, path)
  local functions, said, params = {}, {}, {}
  for _, line in ipairs(lines_of(path)) do
    local name, args = line:match "^function ([%w_.:]+)(%b())"
    if not name then
      args = line:match "^return function(%b())"
      name = args and module
    end
    local param, about = line:match "^%-%-%-@param ([%w_]+%??) .-  +(.*)$"
    if name and #said > 0 then
      local call = name:gsub("^World:", "world:"):gsub("^Policy:", "policy:") .. args
      functions[#functions + 1] = { call = call, about = table.concat(said, " "), params = params }
      said, params = {}, {}
    elseif param then
      params[#params + 1] = { name = param, about = about }
    elseif line:match "^%-%-%-[^@]" then
      said[#said + 1] = line:sub(4)
    elseif not line:match "^%-%-%-" then
      said, params = {}, {}
    end
  end
  return functions
end

-- The comment at the head of a file.
local function head_of(path)
  local said = {}
  for _, line in ipairs(lines_of(path)) do
    if line:sub(1, 2) ~= "--" or line:sub(1, 3) == "---" then
      break
    end
    said[#said + 1] = line:sub(4)
  end
  local text = table.concat(said, "\n")
  return text:match "^(.-)\n\n" or text
end

local function cell(text)
  return (text:gsub("|", "\\|"))
end

local out = {}
local function put(fmt, ...)
  out[#out + 1] = select("#", ...) > 0 and fmt:format(...) or fmt
end

local function put_class(class)
  put("### %s", class.name)
  put ""
  if class.about ~= "" then
    put("%s", class.about)
    put ""
  end
  if #class.fields > 0 then
    put "| field | type | |"
    put "|---|---|---|"
    for _, field in ipairs(class.fields) do
      put("| `%s` | `%s` | %s |", field.name, cell(field.type), cell(field.about))
    end
    put ""
  end
end

put "# The policy API"
put ""
put "Made of the editor types in `lua/steerway` by `./dev docs`; [policies](policies.md) explains how it all goes together. For"
put "an editor with the Lua language server, add the folder `lua` to its `workspace.library`."
put ""
put "## Types"
put ""
for _, class in ipairs(classes_of "lua/steerway/types.lua") do
  put_class(class)
end
for path in pairs(MORE) do
  for _, class in ipairs(classes_of(path)) do
    put_class(class)
  end
end
put "## Library"
put ""
for _, module in ipairs(LIBRARY) do
  local path = ("lua/steerway/%s.lua"):format(module)
  put("### require \"steerway.%s\"", module)
  put ""
  put("%s", (head_of(path):gsub("\n", " ")))
  put ""
  for _, f in ipairs(functions_of(module, path)) do
    put("- `%s`: %s", f.call, f.about)
    for _, p in ipairs(f.params) do
      put("  - `%s`: %s", p.name, p.about)
    end
  end
  put ""
  for _, class in ipairs(classes_of(path)) do
    put_class(class)
  end
end
while out[#out] == "" do
  out[#out] = nil
end
io.write(table.concat(out, "\n"), "\n")
