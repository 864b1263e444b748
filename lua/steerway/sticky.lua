-- Keeps what belongs together on one uplink: local sticky = require "steerway.sticky".
--
-- The first connection of a key (a client, a host, a site) goes where `inner` says; those that follow go there too, as long as
-- that uplink can serve and the key was used within ttl seconds. When an uplink dies only its own keys move.

local options = require "steerway.options"

local KEYS_MAX = 4096 -- texts at hand

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
end

---@class steerway.StickyOptions
---@field by "client"|"host"|"site"|"client_and_site"|fun(conn: steerway.Conn): string|nil  nil: this one is not kept
---@field inner steerway.Chooser  chooses for a key that is new, or whose uplink cannot serve
---@field ttl? number        seconds without use after which a key is forgotten; 600 if nil
---@field capacity? integer  keys at most, the least used are forgotten first; 10,000 if nil
---@field home? boolean      a key whose uplink comes back returns to it; else it stays where it went meanwhile

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
  local kept = ctx.lru(o.capacity or 10000, o.ttl or 600) -- key to uplink

  local function remember(key, chosen)
    if type(chosen) == "table" then
      chosen = chosen[1]
    end
    if chosen then
      kept:set(key, chosen)
    end
  end

  local function choose(conn, uplinks, n)
    local key = key_of(conn)
    if key == nil then
      return inner(conn, uplinks, n)
    end
    local own = kept:touch(key)
    if own then
      for i = 1, n or #uplinks do
        if uplinks[i] == own then
          return own, "kept"
        end
      end
    end
    local chosen, reason, opts = inner(conn, uplinks, n)
    -- An uplink that works, and was only tried for this connection in vain, keeps its keys: the fault may be the destination's.
    if not own or not home and not own.up then
      remember(key, chosen)
    end
    return chosen, reason, opts
  end

  local by_name = {}
  for _, u in ipairs(ctx.uplinks) do
    by_name[u.name] = u
  end

  return choose, {
    -- Two lists side by side, and not one of pairs, which would be thousands of tables.
    export = function()
      local keys, lines, n = {}, {}, 0
      for key, u in kept:each() do
        n = n + 1
        keys[n], lines[n] = key, u.name
      end
      return { keys = keys, lines = lines }
    end,
    import = function(t)
      local keys, lines = t.keys, t.lines
      for i = 1, #keys do
        local u = by_name[lines[i]]
        if u then
          kept:set(keys[i], u)
        end
      end
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
