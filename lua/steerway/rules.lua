-- Rules by destination, client, user, protocol and time: local rules = require "steerway.rules".
--
--   pick = rules(ctx, {
--     { domains = { "vpn.example.com" }, to = "fibre" },
--     { ports = { 25, "6881-6999" }, refuse = "not from here" },
--     { hours = "00:00-06:00", tag = "night" },
--   }, otherwise)
--
-- The first rule whose conditions all hold decides. If no uplink that it names can serve, the next rules are tried. A
-- strict rule refuses the connection instead.

local balance = require "steerway.balance"
local hours = require "steerway.hours"
local options = require "steerway.options"

local KNOWN = {
  domains = "any?", cidrs = "any?", clients = "any?", ports = "any?", users = "any?", proto = "any?", -- conditions
  hours = "string?", days = "string?", when = "function?",
  to = "any?", tag = "string?", refuse = "string?", strict = "boolean?", reason = "string?", timeout = "number?",
  resolve = "boolean?", -- actions
}

local function list_of(value)
  return type(value) == "table" and value or { value }
end

-- { 25, "6881-6999" } → function(port)
local function ports_of(value, fail)
  local spans = {}
  for _, item in ipairs(list_of(value)) do
    local from, dash, to = tostring(item):match "^(%d+)(%-?)(%d*)$"
    from, to = tonumber(from), tonumber(to) or dash == "" and tonumber(from)
    if not from or not to or from > to or to > 65535 then
      fail("ports: expected numbers, or spans such as \"6881-6999\", got %s", tostring(item))
    end
    spans[#spans + 1] = { from, to }
  end
  local set = {} -- 65,536 ports at most
  for _, span in ipairs(spans) do
    for port = span[1], span[2] do
      set[port] = true
    end
  end
  return function(conn)
    return set[conn.port] == true
  end
end

local PROTOCOLS = { socks4 = true, socks5 = true, connect = true, http = true, udp = true, forward = true, transparent = true }

local function words_of(field, value, fail)
  local set = {}
  for _, word in ipairs(list_of(value)) do
    if type(word) ~= "string" then
      fail("%s: expected a text or a list of texts, got %s", field == "user" and "users" or field, type(word))
    end
    if field == "proto" and not PROTOCOLS[word] then
      fail('proto: expected socks4, socks5, connect, http, udp, forward or transparent, got %q', word)
    end
    set[word] = true
  end
  return function(conn)
    local word = conn[field]
    return word ~= nil and set[word] == true
  end
end

-- A set that ctx has made, or the list to make one from.
local function set_of(make, value)
  if type(value) == "table" and getmetatable(value) == false then
    return value
  end
  return make(type(value) == "string" and { value } or value)
end

local ANSWERS_MAX = 4096

-- A set's answer for a host never changes, and hosts repeat. So answers are cached, up to a limit.
local function cached_matcher(ctx, set)
  local answers, count = {}, 0
  return function(host)
    local answer = answers[host]
    if answer == nil then
      if count == ANSWERS_MAX then
        answers, count = {}, 0
      end
      answer, count = ctx.match(set, host), count + 1
      answers[host] = answer
    end
    return answer
  end
end

-- Returns function(conn): whether all conditions of the rule hold. Most rules have one condition, so there is no loop
-- over a list.
local function condition_of(ctx, rule, fail)
  for _, key in ipairs { "ports", "proto", "users", "clients", "domains", "cidrs" } do
    if type(rule[key]) == "table" and getmetatable(rule[key]) ~= false and next(rule[key]) == nil then
      fail("%s: expected one at least: a rule whose list is empty would never hold", key)
    end
  end
  if rule.timeout ~= nil and not (rule.timeout > 0 and rule.timeout <= 86400) then
    fail("timeout: expected seconds, above 0 and at most 86400, got %s", tostring(rule.timeout))
  end
  local all
  local function add(condition)
    local before = all
    all = before and function(conn) return before(conn) and condition(conn) end or condition
  end
  if rule.ports ~= nil then
    add(ports_of(rule.ports, fail))
  end
  if rule.proto ~= nil then
    add(words_of("proto", rule.proto, fail))
  end
  if rule.users ~= nil then
    add(words_of("user", rule.users, fail))
  end
  if rule.hours ~= nil or rule.days ~= nil then
    add(hours.within(rule.hours, rule.days, ctx.time))
  end
  if rule.clients ~= nil then
    local set = set_of(ctx.cidrs, rule.clients)
    add(function(conn) return ctx.match(set, conn.client) end)
  end
  -- Names and addresses are both destinations: one match is enough.
  if rule.domains ~= nil or rule.cidrs ~= nil then
    local is_named = rule.domains ~= nil and cached_matcher(ctx, set_of(ctx.domains, rule.domains))
    local ranges = rule.cidrs ~= nil and set_of(ctx.cidrs, rule.cidrs)
    add(function(conn)
      if conn.is_domain then
        if is_named and is_named(conn.host) then
          return true
        end
        local address = ranges and conn.address -- known if the client was captured
        return address and ctx.match(ranges, address)
      end
      return ranges and ctx.match(ranges, conn.host)
    end)
  end
  if rule.when ~= nil then
    add(rule.when)
  end
  return all or function() return true end
end

-- Uplinks by name, in the rule's order of preference. Missing ones cause a warning, since one policy may serve on
-- several machines.
local function uplinks_named(ctx, value, fail)
  local wanted = {}
  for _, name in ipairs(list_of(value)) do
    if type(name) ~= "string" then
      fail("to: expected an uplink's name, a list of names, or a chooser, got %s", type(name))
    end
    local found
    for _, u in ipairs(ctx.uplinks) do
      found = found or u.name == name and u
    end
    if found then
      wanted[#wanted + 1] = found
    else
      local names = {}
      for i, u in ipairs(ctx.uplinks) do
        names[i] = u.name
      end
      ctx.log.warn("rules: unknown uplink %s (known: %s)", name, table.concat(names, ", "))
    end
  end

  return function(_, uplinks, n)
    local order = {}
    for _, u in ipairs(wanted) do
      for i = 1, n or #uplinks do
        if uplinks[i] == u then
          order[#order + 1] = u
        end
      end
    end
    if #order > 1 then
      return order
    end
    return order[1]
  end
end

local function target_of(ctx, rule, otherwise, fail)
  local given = (rule.to ~= nil and 1 or 0) + (rule.tag and 1 or 0) + (rule.refuse and 1 or 0)
  if given ~= 1 then
    fail("expected one of to, tag and refuse, got %s", given == 0 and "none" or "several")
  elseif rule.refuse then
    return function() return false, rule.refuse end
  elseif type(rule.to) == "function" then
    return rule.to
  elseif rule.tag then
    return balance.only(function(u) return u.tags[rule.tag] == true end, otherwise, true)
  end
  return uplinks_named(ctx, rule.to, fail)
end

---Conditions, all of which must hold, and one action: to, tag or refuse.
---@class steerway.Rule
---@field domains? string|string[]|{file:string}|steerway.Set  the destination is one of these names, or below one
---@field cidrs? string|string[]|{file:string}|steerway.Set    the destination's address is known, and in one of these ranges
---@field clients? string|string[]|{file:string}|steerway.Set  the client is
---@field ports? integer|string|(integer|string)[]  the destination's port: 443, "6881-6999", or a list of both
---@field users? string|string[]    the name that the client logged in with
---@field proto? string|string[]    "socks5", "http", …
---@field hours? string             "22:00-06:00", local time
---@field days? string              "mon-fri", "sat,sun"
---@field when? fun(conn: steerway.Conn): boolean  any other condition
---@field to? string|string[]|steerway.Chooser  an uplink's name, names in order of preference, or a chooser
---@field tag? string               the uplinks with this tag, shared as `otherwise` does
---@field refuse? string            the reason
---@field strict? boolean           refuse when none of the uplinks can serve
---@field reason? string            for the log; "rule N" if nil
---@field timeout? number           seconds for a dial
---@field resolve? boolean          a captured connection goes to its name, as the uplink resolves it

local PLACE = "^%S*steerway[%w_./]*:%d+: " -- a place in this library, which is not where the mistake is

local function make(ctx, list, otherwise)
  local made = {}
  for key in pairs(list) do
    if type(key) ~= "number" then
      error(("expected a list of rules, { { %s = … }, … }, got the key %s"):format(tostring(key), tostring(key)), 0)
    end
  end
  for i, rule in ipairs(list) do
    local what = "rule " .. i
    local function fail(fmt, ...)
      error(fmt:format(...), 0)
    end
    options.check(what, rule, KNOWN)
    local ok, wrong = pcall(function()
      made[i] = {
        holds = condition_of(ctx, rule, fail),
        target = target_of(ctx, rule, otherwise, fail),
        strict = rule.strict, refuse = rule.refuse, reason = rule.reason or what,
        opts = (rule.timeout or rule.resolve) and { timeout = rule.timeout, resolve = rule.resolve } or nil,
      }
    end)
    if not ok then
      error(what .. ": " .. tostring(wrong):gsub(PLACE, ""), 0)
    end
  end
  return made
end

---A chooser with rules: the first rule whose conditions all hold decides.
---@param ctx steerway.Ctx
---@param list steerway.Rule[]
---@param otherwise steerway.Chooser  used when no rule decides
---@return steerway.Chooser
return function(ctx, list, otherwise)
  if type(list) ~= "table" then
    error("rules: expected a list of rules, got " .. type(list), 2)
  elseif type(otherwise) ~= "function" then
    error("rules: expected a chooser for what no rule decides, got " .. type(otherwise), 2)
  end
  local ok, made = pcall(make, ctx, list, otherwise)
  if not ok then
    error(tostring(made):gsub(PLACE, ""), 2)
  end

  return function(conn, uplinks, n)
    for i = 1, #made do
      local rule = made[i]
      if rule.holds(conn) then
        local chosen, reason, opts = rule.target(conn, uplinks, n)
        if chosen == false then
          return false, reason
        elseif chosen ~= nil then
          return chosen, rule.reason, opts or rule.opts
        elseif rule.strict then
          return false, rule.reason .. ": its uplinks cannot serve"
        end
      end
    end
    return otherwise(conn, uplinks, n)
  end
end
