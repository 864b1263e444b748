-- Finds settings of uplinks that a policy ignores. Tier, tags and quotas have a meaning only for policies that read
-- them. A user who sets them in vain gets a warning.
--
-- A policy uses a setting if its text names it: compiled code holds the names of all fields that it reads. So the
-- policy need not be watched at run time, and code that runs rarely counts too. A library block counts as reading its
-- fields. Text that a policy loads at run time cannot be seen, so with `load` all settings count as used.

local nearest = require "steerway.host.nearest"
local funcinfo, funck = require("jit.util").funcinfo, require("jit.util").funck

local heeds = {}

-- The fields that library blocks read, for policies whose text names the block. A spec compares this with the
-- library.
local BLOCKS = {
  { module = "steerway.balance", word = "tiers", setting = "tier" },
  { module = "steerway.rules", word = "tag", setting = "tags" },
  { module = "steerway.quota", setting = "quota_left" },
}
heeds.blocks = BLOCKS

-- The strings in a function and in the functions within it.
local function gather_words(f, words)
  for i = 1, funcinfo(f).gcconsts or 0 do
    local constant = funck(f, -i)
    if type(constant) == "string" then
      words[constant] = true
    elseif type(constant) == "proto" then
      gather_words(constant, words)
    elseif type(constant) == "table" then -- { tag = "steady" }: a constant table
      for key, value in pairs(constant) do
        if type(key) == "string" then words[key] = true end
        if type(value) == "string" then words[value] = true end
      end
    end
  end
end

local function is_heeded(setting, words, modules)
  if words[setting] or words.load or words.loadstring then
    return true
  end
  for _, block in ipairs(BLOCKS) do
    if block.setting == setting and modules[block.module] ~= nil and (not block.word or words[block.word]) then
      return true
    end
  end
  return false
end

-- Texts for the user: what the setting does without the policy, and which policies use it.
local SETTINGS = {
  {
    name = "tier", setting = "tier",
    is_set = function(u) return u.tier ~= 1 end,
    hint = "these uplinks are used like the others; failover, quota and balance.tiers use tiers",
  },
  {
    name = "tags", setting = "tags",
    is_set = function(u) return #u.tags > (u.tags.metered and 1 or 0) end, -- checks and races avoid metered uplinks
    hint = "no choice depends on them; rules and time_of_day use tags",
  },
  {
    name = "quota", setting = "quota_left",
    is_set = function(u, hard) return u.quota_left < math.huge and not hard[u.id] end,
    hint = 'these uplinks are used beyond it; the policy quota respects it, and quota_end = "hard" enforces it',
  },
}

-- Comparisons take time; a policy written by a person names fewer.
local WORDS_MAX = 2000

local function short_words(words)
  local list = {}
  for word in pairs(words) do
    if #list == WORDS_MAX then
      return {}
    elseif #word <= 64 then
      list[#list + 1] = word
    end
  end
  table.sort(list)
  return list
end

-- Tags of uplinks that the policy does not name, while it names a similar one that no uplink has.
local function add_misspelt(out, uplinks, words)
  local known, told, list = {}, {}, short_words(words)
  for _, u in ipairs(uplinks) do
    for _, tag in ipairs(u.tags) do
      known[tag] = true
    end
  end
  for _, u in ipairs(uplinks) do
    for _, tag in ipairs(u.tags) do
      local close = not words[tag] and not told[tag] and #tag > 3 and nearest.of(tag, list)
      if close and not known[close] then
        told[tag] = true
        out[#out + 1] = { setting = "tags", uplinks = u.name,
          hint = ("the policy does not name the tag '%s'; did you mean '%s'?"):format(tag, close) }
      end
    end
  end
end

---@param chunks function[]             the policy's file, and those beside it that it has required
---@param modules table<string, any>    what it has required, by name
---@param params table<string, any>     as given to it
---@param uplinks steerway.Uplink[]
---@param hard table<integer, boolean>  by id: the engine itself ends its quota
---@return { setting: string, uplinks: string, hint: string }[]  what was set and means nothing
function heeds.unheeded(chunks, modules, params, uplinks, hard)
  local words, out = {}, {}
  for _, chunk in ipairs(chunks) do
    gather_words(chunk, words)
  end
  for _, value in pairs(params) do
    if type(value) == "string" then words[value] = true end
  end
  for _, each in ipairs(SETTINGS) do
    local names = {}
    for _, u in ipairs(uplinks) do
      names[#names + 1] = each.is_set(u, hard) and u.name or nil
    end
    if #names > 0 and not is_heeded(each.setting, words, modules) then
      out[#out + 1] = { setting = each.name, uplinks = table.concat(names, ", "), hint = each.hint }
    end
  end
  if is_heeded("tags", words, modules) and not (words.load or words.loadstring) then
    add_misspelt(out, uplinks, words)
  end
  return out
end

return heeds
