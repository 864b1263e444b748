-- Building blocks of policies: local balance = require "steerway.balance".
--
-- A chooser is a function like pick: choose(conn, uplinks, n) → uplink, reason. With n, it uses only the first n of
-- the list. So a chooser can be a policy's pick, and a chooser with an argument `inner` can contain another. Put
-- outermost what must hold for every connection (quotas, then tiers): each chooser sees only the uplinks that the
-- ones around it have left. Choosers keep state, so make them once, in new(ctx).

local options = require "steerway.options"

local balance = {}

local floor, huge, log, max, min = math.floor, math.huge, math.log, math.max, math.min

---@alias steerway.Chooser fun(conn: steerway.Conn, uplinks: steerway.Uplink[], n?: integer):
---  steerway.Uplink|steerway.Uplink[]|false|nil, string|nil, steerway.PickOptions|nil

-- A chooser's argument that must be a function.
local function expect_function(what, name, value)
  if type(value) ~= "function" then
    error(("balance.%s: expected %s, got %s"):format(what, name, type(value)), 3)
  end
end

-- A key is a function of an uplink, or the name of a field.
local function key_of(what, key)
  if type(key) == "string" then
    return function(u)
      return u[key]
    end
  end
  expect_function(what, "a function(uplink) or a field's name", key)
  return key
end

-- While the same uplinks take turns, all credits stay between these limits, in parts of the sum of weights. A credit
-- from a turn with other uplinks is cut to them, so that this uplink neither gets all connections nor none.
-- engine/core/uplink/fallback.c has the calculation.
local CREDIT_MIN, CREDIT_MAX = -1, 4

---Smooth weighted round robin. Over any run of choices each uplink gets its weight's share. The shares are interleaved
---rather than served in bursts (7:3 goes a b a a a b a a b a).
---@return steerway.Chooser
function balance.smooth()
  local credit = {} -- by uplink id

  return function(_, uplinks, n)
    n = n or #uplinks
    local sum = 0
    for i = 1, n do
      sum = sum + uplinks[i].weight
    end
    local best, most, low, high = nil, -huge, CREDIT_MIN * sum, CREDIT_MAX * sum
    for i = 1, n do
      local u = uplinks[i]
      local id = u.id
      local c = max(low, min(high, credit[id] or 0)) + u.weight
      credit[id] = c
      if c > most then
        best, most = u, c
      end
    end
    if not best then
      error("balance.smooth: expected at least one uplink", 2)
    end
    credit[best.id] = most - sum
    return best, "its turn"
  end
end

---The uplink with the smallest key. Smooth weighted round robin decides among equal ones.
---@param key string|fun(u: steerway.Uplink, conn: steerway.Conn): number  or the name of a field
---@param reason? string  instead of "least of all"
---@return steerway.Chooser
function balance.least_of(key, reason)
  key = key_of("least_of", key)
  reason = reason or "least of all"
  local smooth = balance.smooth()
  local level = {} -- the uplinks with the lowest value; kept between calls, so that a call allocates nothing

  return function(conn, uplinks, n)
    local low, count = huge, 0
    for i = 1, n or #uplinks do
      local u = uplinks[i]
      local value = key(u, conn)
      if value < low then
        low, count = value, 1
        level[1] = u
      elseif value == low then
        count = count + 1
        level[count] = u
      end
    end
    if count == 1 then
      return level[1], reason
    elseif count == 0 then
      error("balance.least_of: expected at least one uplink, and a number from key for one at least", 2)
    end
    return smooth(conn, level, count), reason
  end
end

---Fewest live connections, in proportion to weight.
---@return steerway.Chooser
function balance.least_connections()
  return balance.least_of(function(u)
    return u.active / u.weight
  end, "fewest connections")
end

---A random choice in proportion to weight.
---@param random fun(): number  ctx.random
---@return steerway.Chooser
function balance.weighted_random(random)
  expect_function("weighted_random", "ctx.random", random)

  return function(_, uplinks, n)
    n = n or #uplinks
    local total = 0
    for i = 1, n do
      total = total + uplinks[i].weight
    end
    local point = random() * total
    for i = 1, n - 1 do
      point = point - uplinks[i].weight
      if point < 0 then
        return uplinks[i], "drawn by weight"
      end
    end
    return uplinks[n], "drawn by weight"
  end
end

---The better of two random choices: nearly as even as least_of, but stale numbers do not send all connections to one
---uplink.
---@param random fun(): number  ctx.random
---@param key string|fun(u: steerway.Uplink, conn: steerway.Conn): number  lower is better
---@return steerway.Chooser
function balance.two_choices(random, key)
  expect_function("two_choices", "ctx.random", random)
  key = key_of("two_choices", key)

  return function(conn, uplinks, n)
    n = n or #uplinks
    if n == 1 then
      return uplinks[1], "the only one"
    end
    local i = floor(random() * n) + 1
    local j = floor(random() * (n - 1)) + 1
    if j >= i then
      j = j + 1
    end
    local a, b = uplinks[i], uplinks[j]
    return key(b, conn) < key(a, conn) and b or a, "better of two"
  end
end

---The same uplink for the same key, spread by weight. When an uplink is missing, only its own keys move. (Weighted
---rendezvous hashing: each uplink draws a fixed number for the key, and the highest wins.)
---@param hash fun(text: string): integer                ctx.hash
---@param key fun(conn: steerway.Conn): string            such as function(conn) return conn.client end
---@return steerway.Chooser
function balance.rendezvous(hash, key)
  expect_function("rendezvous", "ctx.hash", hash)
  expect_function("rendezvous", "a function(conn)", key)

  return function(conn, uplinks, n)
    local text = key(conn)
    local best, high = nil, -huge
    for i = 1, n or #uplinks do
      local u = uplinks[i]
      -- Put the name first: the end of a text changes its hash least, so the draws would be similar.
      local drawn = -u.weight / log((hash(u.name .. " " .. text) + 0.5) / 4294967296)
      if drawn > high then
        best, high = u, drawn
      end
    end
    return best, "by its key"
  end
end

---Only the uplinks for which keep is true. If there are none: all uplinks, or with strict no opinion.
---@param keep fun(u: steerway.Uplink, conn: steerway.Conn): boolean
---@param inner steerway.Chooser
---@param strict? boolean
---@return steerway.Chooser
function balance.only(keep, inner, strict)
  expect_function("only", "a function(uplink)", keep)
  expect_function("only", "a chooser", inner)
  local kept = {}

  return function(conn, uplinks, n)
    n = n or #uplinks
    local count = 0
    for i = 1, n do
      local u = uplinks[i]
      if keep(u, conn) then
        count = count + 1
        kept[count] = u
      end
    end
    if count > 0 then
      return inner(conn, kept, count)
    elseif strict then
      return nil
    end
    return inner(conn, uplinks, n)
  end
end

-- Adds the uplinks of the lowest tier above `above` to the first `count` of open. Returns how many open has then, and the tier.
local function add_tier(open, count, uplinks, n, above)
  local low, last = huge, count
  for i = 1, n do
    local u = uplinks[i]
    local tier = u.tier
    if tier > above and tier <= low then
      last = tier < low and count + 1 or last + 1
      low, open[last] = tier, u
    end
  end
  return last, low
end

local function are_full(full, conn, uplinks, from, to)
  for i = from, to do
    if not full(uplinks[i], conn) then
      return false
    end
  end
  return true
end

---The uplinks of the lowest tier present. While all of them are full, also those of the next tier, and so on.
---@param inner steerway.Chooser
---@param full? fun(u: steerway.Uplink, conn: steerway.Conn): boolean  nil: no uplink is ever full, so a higher tier is a backup
---@return steerway.Chooser
function balance.tiers(inner, full)
  expect_function("tiers", "a chooser", inner)
  if full ~= nil then
    expect_function("tiers", "a function(uplink), or nil", full)
  end
  local open = {}

  return function(conn, uplinks, n)
    n = n or #uplinks
    local from, count, first = 1, add_tier(open, 0, uplinks, n, -huge)
    local tier = first
    while full and are_full(full, conn, open, from, count) do
      local more, higher = add_tier(open, count, uplinks, n, tier)
      if more == count then -- all uplinks are included, and full: they share
        break
      end
      from, count, tier = count + 1, more, higher
    end
    local u, reason, opts = inner(conn, open, count)
    if u and tier > first then
      reason = "first tier is full"
    elseif u and first > 1 then
      reason = "backup tier"
    end
    return u, reason, opts
  end
end

local function check_ctx(what, ctx)
  if type(ctx) ~= "table" or type(ctx.uplinks) ~= "table" then
    error(("balance.%s: expected ctx, as new(ctx) is given it, got %s"):format(what, type(ctx)), 3)
  end
end

-- Checks an option: nil, or a finite number for which `good` is true.
local function check_number(what, name, value, good, expected)
  if value and not (good and value < huge) then
    error(("balance.%s: %s: expected %s, got %g"):format(what, name, expected, value), 4)
  end
end

local function down(u) return u.rx_capacity end
local function up(u) return u.tx_capacity end
local DIRECTIONS = { auto = true, down = true, up = true }

---@class steerway.FairShareOptions
---@field direction? "auto"|"down"|"up"  which capacity counts; "auto", the default, takes the direction with more traffic
---@field explore? number  a line that was not chosen in this many picks is tried; 100 if nil

local function check_fair_share(o)
  options.check("balance.fair_share", o, { direction = "string?", explore = "number?" }, 3)
  if o.direction and not DIRECTIONS[o.direction] then
    error(('balance.fair_share: direction: expected "auto", "down" or "up", got "%s"'):format(o.direction), 3)
  end
  check_number("fair_share", "explore", o.explore, (o.explore or 2) >= 2, "a number of picks from 2")
end

-- A capacity is learned from three even seconds, which pages rarely bring. A line carries its average rate over this many
-- seconds at least. A buffer that fills or empties at once adds little to it.
local CARRIED_S = 10
-- Rates are brought up to date four times a second, and are smoothed over a second: looks at them are so far apart, and
-- each stands for a second at most.
local LOOK_EACH_S, LOOK_S = 0.25, 1

---The largest learned capacity for each busy connection, including the new one. A line of unknown capacity counts as
---average. If `explore` picks have not shown its capacity while others are known, it counts as less with each
---further pick. Each line counts as at least the rate that it has carried for ten seconds.
---@param ctx steerway.Ctx
---@param o? steerway.FairShareOptions
---@return steerway.Chooser
function balance.fair_share(ctx, o)
  check_ctx("fair_share", ctx)
  o = o or {}
  check_fair_share(o)
  local direction, explore = o.direction or "auto", o.explore or 100
  local capacity = direction == "up" and up or down
  local typical, compared = 1, false -- average capacity for a weight of 1; whether any capacity is known
  local passed, in_vain = {}, {} -- by uplink id: picks of others since its last one; picks that did not show its capacity
  local carried_down, carried_up, looked = {}, {}, -huge -- by uplink id: average rates; time of the latest look at them
  for _, u in ipairs(ctx.uplinks) do
    passed[u.id], in_vain[u.id] = 0, 0
  end

  local function look(uplinks, n, share)
    for i = 1, n do
      local u = uplinks[i]
      local id = u.id
      local was_down, was_up = carried_down[id] or 0, carried_up[id] or 0
      carried_down[id] = was_down + share * (u.rx_rate - was_down)
      carried_up[id] = was_up + share * (u.tx_rate - was_up)
    end
  end

  local function worth(u)
    if not compared then
      return u.weight
    end
    local known = capacity(u)
    if known <= 0 then
      local vain = in_vain[u.id] or 0
      known = typical * u.weight * (vain > explore and explore / vain or 1)
    end
    return max(known, (capacity == up and carried_up or carried_down)[u.id] or 0)
  end

  local share = balance.least_of(function(u)
    return -worth(u) / (u.busy + 1) -- negative, as the least is chosen
  end, "largest share")

  return function(conn, uplinks, n)
    n = n or #uplinks
    local of, sum, weight, sent, most, starved = capacity, 0, 0, 0, explore, nil
    local since = conn.now - looked
    if since >= LOOK_EACH_S then
      looked = conn.now
      look(uplinks, n, min(since, LOOK_S) / CARRIED_S)
    end
    for i = 1, n do
      local u = uplinks[i]
      local id, known = u.id, of(u)
      if known > 0 then
        sum, weight = sum + known, weight + u.weight
      end
      sent = sent + u.tx_rate - u.rx_rate
      local count = (passed[id] or 0) + 1
      passed[id] = count
      if count > most then
        most, starved = count, u
      end
    end
    if direction == "auto" then
      capacity = sent > 0 and up or down
    end
    typical, compared = weight > 0 and sum / weight or 1, weight > 0

    local chosen, reason = starved, "measuring it again"
    if not chosen or conn.attempt > 1 then -- after a failure, the client gets the best line
      chosen, reason = share(conn, uplinks, n)
    end
    local id = chosen.id
    passed[id] = 0
    if compared and capacity(chosen) <= 0 then
      in_vain[id] = (in_vain[id] or 0) + 1 -- not used once the capacity is known
    end
    return chosen, reason
  end
end

-- After each exploring pick, this many picks go to lines that are known to be fast.
local PICKS_BETWEEN = 3
-- A try that brings a line's connect time to this part of it or less: the line may have become fast. One connection moves
-- the time by an eighth of the difference, so many tries must follow. They come soon, by every second pick.
local FALLS = 0.95

---@class steerway.LeastLatencyOptions
---@field slack? number    a line that is slower than the best by at most this share counts as equal; 0.25 if nil
---@field explore? number  a line that was not chosen for this many seconds is tried; 20 if nil

local function check_least_latency(o)
  options.check("balance.least_latency", o, { slack = "number?", explore = "number?" }, 3)
  check_number("least_latency", "slack", o.slack, (o.slack or 0) >= 0, "a number from 0")
  check_number("least_latency", "explore", o.explore, (o.explore or 1) > 0, "seconds, above 0")
end

---The line with the shortest connect time for its weight; nearly equal lines share by fewest connections. A line
---that was not chosen for `explore` seconds is tried, by at most one pick in four. A line that was never chosen is
---tried at once. If a try shows a much shorter connect time, more follow, by at most every second pick.
---@param ctx steerway.Ctx
---@param o? steerway.LeastLatencyOptions
---@return steerway.Chooser
function balance.least_latency(ctx, o)
  check_ctx("least_latency", ctx)
  o = o or {}
  check_least_latency(o)
  local slack, explore = o.slack or 0.25, o.explore or 20
  local last = {} -- by uplink id: time of its last choice
  local between = 0 -- picks since the last one that explored
  local trying, time_before = nil, 0 -- the uplink id that was explored last, and its connect time then
  local limit = 0 -- of the current pick: connect time for its weight that still counts as near

  -- A line without a connect time has not connected yet, and may never.
  local function is_near(u)
    return u.connect_time > 0 and u.connect_time / u.weight <= limit
  end
  local least = balance.least_connections()
  local near = balance.only(is_near, least)

  return function(conn, uplinks, n)
    n = n or #uplinks
    local time, soonest = conn.now, huge
    local oldest, rested, falling = time, nil, nil
    for i = 1, n do
      local u = uplinks[i]
      local takes, chosen_at = u.connect_time, last[u.id] or -huge
      if takes > 0 then
        soonest = min(soonest, takes / u.weight)
        if u.id == trying and takes <= time_before * FALLS then
          falling = u
        end
      end
      if chosen_at < oldest then
        oldest, rested = chosen_at, u
      end
    end
    limit = soonest * (1 + slack)
    -- Explore the line that was not chosen for the longest time. A fast line needs no exploring: it shares with the
    -- others.
    local explores = time - oldest >= explore and conn.attempt == 1
      and (oldest == -huge or between >= PICKS_BETWEEN and not is_near(rested))
    if not explores and falling and between >= 1 and conn.attempt == 1 and not is_near(falling) then
      explores, rested = true, falling
    end
    local chosen = explores and rested
    if not chosen then
      local choose = soonest < huge and near or least -- without any time, none is near
      chosen = choose(conn, uplinks, n)
    end
    between = explores and 0 or between + 1
    if conn.id > 0 then -- a trial pick makes no connection to measure
      last[chosen.id] = time
      if explores then
        trying, time_before = chosen.id, chosen.connect_time
      end
    end
    return chosen, explores and "to measure it" or "soonest to answer"
  end
end

return balance
