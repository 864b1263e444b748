-- Building blocks of policies: local balance = require "steerway.balance".
-- Each function here makes a chooser with a memory of its own; make it once, in new(ctx), and call it in pick.

local balance = {}

local huge, max, min = math.huge, math.max, math.min

-- Between these, in shares of the sum of weights, all credits stay while the same uplinks take turns; what one earned or owes
-- in heavier company is cut to them, so that it neither floods nor starves. engine/uplink/fallback.c has the reckoning.
local CREDIT_MIN, CREDIT_MAX = -1, 4

---Smooth weighted round robin: over any run of choices each uplink gets its weight's share, and the shares are interleaved
---rather than served in bursts (7:3 goes a b a a a b a a b a).
---@return fun(uplinks: steerway.Uplink[], n?: integer): steerway.Uplink  takes the first n, or all
function balance.smooth()
  local credit = {} -- by uplink id

  return function(uplinks, n)
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
    return best
  end
end

---The uplink for which key is least; where several are level, smooth weighted round robin decides among them.
---@param key fun(u: steerway.Uplink): number
---@return fun(uplinks: steerway.Uplink[], n?: integer): steerway.Uplink  takes the first n, or all
function balance.least_of(key)
  if type(key) ~= "function" then
    error("balance.least_of: expected a function(uplink), got " .. type(key), 2)
  end
  local smooth = balance.smooth()
  local level = {} -- those that share the lowest value; kept between calls, so that a call allocates nothing

  return function(uplinks, n)
    local low, count = huge, 0
    for i = 1, n or #uplinks do
      local u = uplinks[i]
      local value = key(u)
      if value < low then
        low, count = value, 1
        level[1] = u
      elseif value == low then
        count = count + 1
        level[count] = u
      end
    end
    if count == 1 then
      return level[1]
    elseif count == 0 then
      error("balance.least_of: expected at least one uplink, and a number from key for one at least", 2)
    end
    return smooth(level, count)
  end
end

---A draw in proportion to weight.
---@param random fun(): number  ctx.random
---@return fun(uplinks: steerway.Uplink[]): steerway.Uplink
function balance.weighted_random(random)
  if type(random) ~= "function" then
    error("balance.weighted_random: expected ctx.random, got " .. type(random), 2)
  end

  return function(uplinks)
    local n, total = #uplinks, 0
    for i = 1, n do
      total = total + uplinks[i].weight
    end
    local point = random() * total
    for i = 1, n - 1 do
      point = point - uplinks[i].weight
      if point < 0 then
        return uplinks[i]
      end
    end
    return uplinks[n]
  end
end

---Only the uplinks of the lowest tier that has any, for another chooser to choose from.
---@return fun(uplinks: steerway.Uplink[]): steerway.Uplink[], integer  a list, valid until the next call, and its length
function balance.lowest_tier()
  local first = {}

  return function(uplinks)
    local low, count = huge, 0
    for i = 1, #uplinks do
      local u = uplinks[i]
      local tier = u.tier
      if tier < low then
        low, count = tier, 1
        first[1] = u
      elseif tier == low then
        count = count + 1
        first[count] = u
      end
    end
    return first, count
  end
end

return balance
