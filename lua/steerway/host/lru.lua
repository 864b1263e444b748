-- A table with limited size and age, for ctx.lru. When it is full, it drops the entry that was unused for the longest
-- time.

local got = require "steerway.host.got"

local lru = {}

local floor, huge = math.floor, math.huge

local CAPACITY_MAX = 1e6

---A table with limited size and age. When it is full, it drops the entry that was unused for the longest time; it
---also drops entries older than their time to live.
---@class steerway.Lru
---@field get fun(self, key: any): any  nil if it is missing; the entry counts as used
---@field touch fun(self, key: any): any  the same, and its time to live starts again
---@field set fun(self, key: any, value: any)  replaces the key's value
---@field delete fun(self, key: any)  harmless when it is missing
---@field count fun(self): integer  number of entries that have not expired
---@field each fun(self): fun(): any, any, number  key, value, seconds since set or touched; the least used first

---@param capacity integer    1 to 1,000,000 entries
---@param ttl_s number|nil    seconds that an entry lives after it was set or touched; nil for ever
---@param clock fun(): number monotonic seconds
---@return steerway.Lru
function lru.new(capacity, ttl_s, clock)
  if type(capacity) ~= "number" or capacity < 1 or capacity > CAPACITY_MAX or capacity ~= floor(capacity) then
    error(("ctx.lru: expected a whole number of entries from 1 to %d, got %s"):format(CAPACITY_MAX, got(capacity)), 2)
  elseif ttl_s ~= nil and (type(ttl_s) ~= "number" or ttl_s <= 0 or ttl_s ~= ttl_s) then
    error(("ctx.lru: expected seconds to live, above 0, or nil, got %s"):format(got(ttl_s)), 2)
  end
  local ttl = ttl_s or huge
  -- Entries by number, in a ring through 0: next[0] is the least recently used, prev[0] the latest. Freed entries are
  -- reused first, so a full table allocates nothing.
  local number_of, keys, values, born = {}, {}, {}, {}
  local next, prev = { [0] = 0 }, { [0] = 0 }
  local count, made, free = 0, 0, 0 -- free: head of a chain through next

  local function unlink(i)
    next[prev[i]], prev[next[i]] = next[i], prev[i]
  end

  local function link_last(i)
    local last = prev[0]
    next[last], prev[i], next[i], prev[0] = i, last, 0, i
  end

  local function remove(i)
    unlink(i)
    number_of[keys[i]] = nil
    keys[i], values[i] = false, false
    next[i], free = free, i
    count = count - 1
  end

  -- The entry's number; nil when it is missing or expired. Removes an expired entry.
  local function living(key)
    local i = key ~= nil and number_of[key]
    if not i then
      return nil
    elseif clock() - born[i] >= ttl then
      remove(i)
      return nil
    end
    return i
  end

  -- Entries in order of use may have any age, so all must be checked.
  local function expire()
    if ttl == huge then
      return
    end
    local now, i = clock(), next[0]
    while i ~= 0 do
      local after = next[i]
      if now - born[i] >= ttl then
        remove(i)
      end
      i = after
    end
  end

  local function take_number()
    if count == capacity then
      remove(next[0])
    end
    local i = free
    if i ~= 0 then
      free = next[i]
      return i
    end
    made = made + 1
    return made
  end

  local cache, face = {}, nil

  -- Called with a dot, a method gets the key as self.
  local function check_self(method, self)
    if self ~= face then
      error(("lru.%s: call it with a colon, lru:%s(…)"):format(method, method), 3)
    end
  end

  function cache.get(self, key)
    local i = living(key)
    if not i then
      check_self("get", self)
      return nil
    end
    unlink(i)
    link_last(i)
    return values[i]
  end

  function cache.touch(self, key)
    local i = living(key)
    if not i then
      check_self("touch", self)
      return nil
    end
    unlink(i)
    link_last(i)
    born[i] = clock()
    return values[i]
  end

  function cache.set(self, key, value)
    check_self("set", self)
    if key == nil or key ~= key then
      error("lru:set: expected a key, got " .. tostring(key), 2)
    elseif value == nil then
      error("lru:set: expected a value, got nil; delete(key) removes one", 2)
    end
    local i = number_of[key]
    if i then
      unlink(i)
    else
      i = take_number()
      number_of[key], keys[i] = i, key
      count = count + 1
    end
    values[i], born[i] = value, clock()
    link_last(i)
  end

  function cache.delete(self, key)
    check_self("delete", self)
    local i = key ~= nil and number_of[key]
    if i then
      remove(i)
    end
  end

  function cache.count()
    expire()
    return count
  end

  function cache.each()
    expire()
    -- A copy of the keys: the loop may get, set and delete.
    local list, n, at = {}, 0, next[0]
    while at ~= 0 do
      n = n + 1
      list[n], at = keys[at], next[at]
    end
    local k = 0
    return function()
      while k < n do
        k = k + 1
        local i = number_of[list[k]]
        if i then
          return keys[i], values[i], clock() - born[i]
        end
      end
      return nil
    end
  end

  face = setmetatable({}, {
    __index = cache,
    __metatable = false,
    __newindex = function()
      error("an lru has no fields to set; use set(key, value)", 2)
    end,
    __tostring = function()
      return ("lru (%d of %d)"):format(count, capacity)
    end,
  })
  return face
end

return lru
