-- Keeps what belongs together on one uplink: local sticky = require "steerway.sticky".
--
-- The first connection of a key (a client, a host, a site) goes where `inner` says; those that follow go there too, as long as
-- that uplink can serve and the key was used within ttl seconds. When an uplink dies only its own keys move.
--
-- What is kept is chosen without asking anybody: what leaves uplinks out (balance.only, balance.tiers, quota) goes around sticky,
-- and not within it.

local options = require "steerway.options"

local KEYS_MAX = 4096 -- texts at hand
local CAPACITY_MAX = 1e6 -- as ctx.lru has it

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
  -- A login belongs to somebody on a site.
  client_and_site = function(ctx)
    local keys, count = {}, 0 -- by client, by site: a text that was put together once is not made anew
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
---@field by "client"|"host"|"site"|"client_and_site"|fun(conn: steerway.Conn): string|nil  nil: this one is not kept
---@field inner steerway.Chooser  chooses for a key that is new, or whose uplink cannot serve
---@field ttl? number        seconds without use after which a key is forgotten; 600 if nil
---@field capacity? integer  keys at most, the least used are forgotten first; 10,000 if nil
---@field home? boolean      a key whose uplink went down returns with it; else it stays where it went meanwhile

---What a sticky chooser remembers.
---@class steerway.Memory
---@field export fun(): table   what is remembered, for the policy's own export
---@field import fun(t: table)  what another has exported
---@field count fun(): integer  keys remembered
---@field tally fun(): table<integer, integer>  keys by uplink id

---A chooser that keeps what has the same key on one uplink, and its memory.
---@param ctx steerway.Ctx
---@param o steerway.StickyOptions
---@return steerway.Chooser
---@return steerway.Memory
return function(ctx, o)
  check(o)
  local key_of = type(o.by) == "function" and o.by or KEYS[o.by](ctx)
  local inner, home = o.inner, o.home
  local capacity, ttl = o.capacity or 10000, o.ttl or 600
  -- Keys to uplinks: where they belong; and, while that cannot serve, where they are meanwhile.
  local kept, away = ctx.lru(capacity, ttl), ctx.lru(capacity, ttl)

  -- Where this key is kept, of those that can serve; and where it belongs.
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
      -- An uplink that is up keeps its keys: it was tried for this connection in vain, does not speak the destination's family,
      -- or is left out for a time.
      local memory = own and (home or own.up) and away or kept
      memory:set(key, first)
    end
    return chosen, reason, opts
  end

  local by_name = {}
  for _, u in ipairs(ctx.uplinks) do
    by_name[u.name] = u
  end

  -- Two lists side by side, and not one of pairs, which would be thousands of tables.
  local function names_of(lru)
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
      return { kept = names_of(kept), away = names_of(away) }
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
