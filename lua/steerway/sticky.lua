-- Keeps connections that belong together on one uplink: local sticky = require "steerway.sticky".
--
-- For the first connection of a key (a client, a host, a site), `inner` chooses the uplink. Later ones use the same
-- uplink while it can serve and the key was used within ttl seconds. When an uplink fails, only its own keys move.
--
-- A kept key does not ask `inner`. So put choosers that leave uplinks out (balance.only, balance.tiers, quota) around
-- sticky, not inside it.

local options = require "steerway.options"

local KEYS_MAX = 4096 -- cached texts
local CAPACITY_MAX = 1e6 -- the limit of ctx.lru

local KEYS = {
  client = function()
    return function(conn) return conn.client end
  end,
  host = function()
    return function(conn) return conn.host end
  end,
  site = function(ctx)
    return function(conn) return ctx.site(conn.host) end
  end,
  -- A login belongs to one client on one site.
  client_and_site = function(ctx)
    local keys, count = {}, 0 -- by client, by site: caches joined texts
    return function(conn)
      local client, site = conn.client, ctx.site(conn.host)
      local of_client = keys[client]
      local key = of_client and of_client[site]
      if key then
        return key
      end
      if count == KEYS_MAX then
        keys, count, of_client = {}, 0, nil
      end
      key, count = client .. " " .. site, count + 1
      keys[client] = of_client or {}
      keys[client][site] = key
      return key
    end
  end,
}

local function check(o)
  options.check("sticky", o, { by = "any", inner = "chooser", ttl = "number?", capacity = "number?", home = "boolean?" }, 3)
  if type(o.by) ~= "function" and not KEYS[o.by] then
    error(('sticky: by: expected "client", "host", "site", "client_and_site" or a function(conn), got %s'):format(tostring(o.by)),
      3)
  end
  if o.ttl and not (o.ttl > 0 and o.ttl < math.huge) then
    error(("sticky: ttl: expected seconds, more than 0, got %g"):format(o.ttl), 3)
  end
  if o.capacity and not (o.capacity >= 1 and o.capacity <= CAPACITY_MAX and o.capacity % 1 == 0) then
    error(("sticky: capacity: expected a whole number from 1 to %d, got %g"):format(CAPACITY_MAX, o.capacity), 3)
  end
end

---@class steerway.StickyOptions
---@field by "client"|"host"|"site"|"client_and_site"|fun(conn: steerway.Conn): string|nil  nil: do not keep this connection
---@field inner steerway.Chooser  chooses for a new key, or when the key's uplink cannot serve
---@field ttl? number        seconds without use after which a key is forgotten; 600 if nil
---@field capacity? integer  most keys kept; the least recently used is forgotten first; 10,000 if nil
---@field home? boolean      a key returns to its uplink when that is up again; else it stays where it moved

---The memory of a sticky chooser.
---@class steerway.Memory
---@field export fun(): table   its content, for the policy's own export
---@field import fun(t: table)  load the result of export
---@field count fun(): integer  number of keys
---@field tally fun(): table<integer, integer>  keys by uplink id

---A chooser that keeps connections with the same key on one uplink, and its memory.
---@param ctx steerway.Ctx
---@param o steerway.StickyOptions
---@return steerway.Chooser
---@return steerway.Memory
return function(ctx, o)
  check(o)
  local key_of = type(o.by) == "function" and o.by or KEYS[o.by](ctx)
  local inner, home = o.inner, o.home
  local capacity, ttl = o.capacity or 10000, o.ttl or 600
  -- Keys to uplinks: `kept` is where a key belongs, `away` where it is while that uplink cannot serve.
  local kept, away = ctx.lru(capacity, ttl), ctx.lru(capacity, ttl)

  -- The uplink where this key is kept, if it can serve; and the one where it belongs.
  local function find(key, uplinks, n)
    local own = kept:touch(key)
    if not own then
      return nil
    end
    for i = 1, n do
      if uplinks[i] == own then
        return own, own
      end
    end
    local other = away:touch(key)
    for i = 1, other and n or 0 do
      if uplinks[i] == other then
        return other, own
      end
    end
    return nil, own
  end

  local function choose(conn, uplinks, n)
    local key = key_of(conn)
    if key == nil then
      return inner(conn, uplinks, n)
    end
    local now, own = find(key, uplinks, n or #uplinks)
    if now then
      return now, "kept"
    end
    local chosen, reason, opts = inner(conn, uplinks, n)
    local first = chosen
    if type(chosen) == "table" then
      first = chosen[1]
    end
    if first then
      -- An uplink that is up keeps its keys. It may have failed for this connection, lack the destination's family,
      -- or be left out for a while.
      local memory = own and (home or own.up) and away or kept
      memory:set(key, first)
    end
    return chosen, reason, opts
  end

  local by_name = {}
  for _, u in ipairs(ctx.uplinks) do
    by_name[u.name] = u
  end

  -- Two parallel lists instead of a list of pairs, which would be thousands of tables.
  local function kept_names(lru)
    local keys, lines, count = {}, {}, 0
    for key, u in lru:each() do
      count = count + 1
      keys[count], lines[count] = key, u.name
    end
    return { keys = keys, lines = lines }
  end

  local function recall(lru, t)
    local keys, lines = t and t.keys or {}, t and t.lines
    for i = 1, #keys do
      local u = by_name[lines[i]]
      if u then
        lru:set(keys[i], u)
      end
    end
  end

  return choose, {
    export = function()
      return { kept = kept_names(kept), away = kept_names(away) }
    end,
    import = function(t)
      recall(kept, t.kept)
      recall(away, t.away)
    end,
    count = function()
      return kept:count()
    end,
    tally = function()
      local keys = {}
      for _, u in kept:each() do
        keys[u.id] = (keys[u.id] or 0) + 1
      end
      return keys
    end,
  }
end
