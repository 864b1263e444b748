-- The functions that the engine calls for each decision and event. Only a verdict and its reason pass over Lua's
-- stack; all other data is in the frame. So a call allocates nothing and compiles.

local clear = require "table.clear"
local depth = require "steerway.host.depth"
local nearest = require "steerway.host.nearest"
local types = require "steerway.host.types"
local ffi_string = require("ffi").string
local funcinfo = require("jit.util").funcinfo

local calls = {}

-- LuaJIT knows a local function, but looks a global one up in each call.
local rawset, type = rawset, type

-- Values of engine/core/policy/frame.h.
local NO_OPINION, USE, REFUSE = 0, 1, 2
local CANDIDATE, CAPTIVE = 1, 2

local OPTIONS = { "timeout", "tag", "hedge", "race", "per", "resolve" }
local PER = { client = 1, destination = 2 } -- enum policy_per
-- A day; a longer time is probably a mistake of units.
local SECONDS_MAX = 86400

local begin = depth.begin
local by_id, is_uplink, tags = types.by_id, types.is_uplink, types.tags

local function hint_for(chosen)
  if type(chosen) == "function" then
    return ": what makes a chooser must be called, as in balance.least_connections()"
  end
  for _, u in pairs(by_id) do
    if u.name == chosen then
      return (": return the uplink of the list whose name is '%s'"):format(chosen)
    end
  end
  return ""
end

---@param hooks steerway.Hooks
---@param default_reason string
---@return table<string, function>  pick and forget, and the hooks that the policy has
function calls.new(hooks, default_reason)
  local frame, conn, stats = types.bound()
  local pick = hooks.pick
  -- Given to the policy, and filled again for each call, so changes by the policy have no lasting effect.
  local list = types.guard_names("uplinks", {})
  local ids, offers = frame.ids, frame.offers -- each access to frame.ids makes a new reference
  local entry = {}

  local function wrong(text)
    local info = funcinfo(pick)
    -- A builtin (`pick = tostring`) has no source.
    local source = info.source and info.source:gsub("^[@=]", "") or "policy"
    error(("%s:%d: pick returned %s"):format(source, info.linedefined or 0, text), 0)
  end

  -- nil: it is behind a captive portal, and skipped.
  local function check_chosen(u)
    if not is_uplink(u) then
      wrong(type(u) == "cdata" and "a conn where an uplink was expected" or
        ("a list that holds a %s; expected uplinks"):format(type(u)))
    end
    local id = u.id
    local offer = offers[id]
    if offer ~= CANDIDATE then
      if offer == CAPTIVE then
        return nil
      end
      wrong(("%s, which is not among the candidates"):format(tostring(u)))
    end
    return id
  end

  local function seconds(opts, key)
    local value = opts[key]
    if value == nil then
      return 0
    end
    if type(value) ~= "number" or not (value > 0 and value <= SECONDS_MAX) then
      wrong(("opts.%s = %s; expected seconds, above 0 and at most %d"):format(key, tostring(value), SECONDS_MAX))
    end
    return value
  end

  local function take_options(opts)
    if type(opts) ~= "table" then
      wrong(("a %s as third value; expected a table of options"):format(type(opts)))
    end
    for key in pairs(opts) do
      if key ~= "timeout" and key ~= "tag" and key ~= "hedge" and key ~= "race" and key ~= "per"
        and key ~= "resolve" then
        local close = nearest.of(key, OPTIONS)
        wrong(("options with an unknown key '%s'%s (known: timeout, tag, hedge, race, per, resolve)")
          :format(tostring(key), close and ("; did you mean '%s'?"):format(close) or ""))
      end
    end
    frame.timeout_s = seconds(opts, "timeout")
    frame.hedge_s = opts.hedge == false and -1 or seconds(opts, "hedge")
    if opts.race ~= nil then
      if opts.race ~= "any" then
        wrong(("opts.race = %s; expected \"any\", or nothing: a race then spares higher tiers and metered uplinks")
          :format(tostring(opts.race)))
      end
      frame.race_any = true
    end
    if opts.per ~= nil then
      if not PER[opts.per] then
        wrong(("opts.per = %s; expected \"client\" or \"destination\""):format(tostring(opts.per)))
      end
      frame.per = PER[opts.per]
    end
    if opts.resolve ~= nil then
      if type(opts.resolve) ~= "boolean" then
        wrong(("opts.resolve = %s; expected true or false"):format(tostring(opts.resolve)))
      end
      frame.resolve = opts.resolve
    end
    if opts.tag ~= nil then
      local id = conn.id
      if tags[id] == nil then
        frame.n_tags = frame.n_tags + 1
      end
      tags[id] = opts.tag
    end
  end

  local function take_list(order)
    local n = #order
    if n == 0 then
      wrong "an empty list; expected uplinks, or nil for no opinion"
    elseif n > 64 then
      wrong(("a list of %d uplinks; expected at most 64"):format(n))
    end
    local taken = 0
    for i = 1, n do
      local id = check_chosen(order[i])
      if id then
        ids[taken] = id
        taken = taken + 1
      end
    end
    frame.n = taken
    return taken > 0
  end

  local function settle(chosen, reason, opts)
    if reason == nil then
      reason = default_reason
    elseif type(reason) ~= "string" then
      wrong(("a %s as reason; expected a string"):format(type(reason)))
    elseif reason == "" then
      reason = default_reason
    end
    if chosen == nil then
      return NO_OPINION, reason
    elseif chosen == false then
      return REFUSE, reason
    elseif type(chosen) == "cdata" then
      local id = check_chosen(chosen)
      if not id then
        return NO_OPINION, reason
      end
      ids[0] = id
      frame.n = 1
    elseif type(chosen) == "table" then
      if not take_list(chosen) then
        return NO_OPINION, reason
      end
    else
      wrong(("a %s; expected an uplink, a list of uplinks, nil, or false and a reason%s"):format(type(chosen), hint_for(chosen)))
    end
    if opts ~= nil then
      take_options(opts)
    end
    return USE, reason
  end

  function entry.pick()
    begin()
    clear(list)
    for i = 1, frame.n do
      rawset(list, i, by_id[ids[i - 1]]) -- in one line, and raw: compiled code polls at each line, and seeks __newindex
    end
    return settle(pick(conn, list))
  end

  if hooks.opened then
    function entry.opened()
      begin()
      hooks.opened(conn, by_id[frame.uplink], frame.connect_s)
    end
  end
  if hooks.failed then
    function entry.failed()
      begin()
      hooks.failed(conn, by_id[frame.uplink], ffi_string(frame.word))
    end
  end
  if hooks.lost_race then
    function entry.lost_race()
      begin()
      hooks.lost_race(conn, by_id[frame.uplink])
    end
  end
  if hooks.closed then
    function entry.closed()
      begin()
      hooks.closed(conn, by_id[frame.uplink], stats)
    end
  end

  if hooks.uplink_changed then
    function entry.uplink_changed()
      begin()
      hooks.uplink_changed(by_id[frame.uplink], ffi_string(frame.word))
    end
  end

  function entry.forget()
    local id = conn.id
    if tags[id] ~= nil then
      tags[id] = nil
      frame.n_tags = frame.n_tags - 1
    end
  end

  return entry
end

return calls
