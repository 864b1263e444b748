-- A line that is usually fine, and an LTE stick for when it is not. The stick has so many gigabytes a month, so it carries
-- nothing while the line works, and no more than it has.
--
--   steerway check --config examples/lte-backup/config.lua
--   steerway start --config examples/lte-backup/config.lua

return {
  listen = "localhost:1080",

  -- The lowest tier that works. When a connection by it fails, the next tier is tried before the client hears of it.
  policy = "failover",

  uplinks = {
    { interface = "eth0", name = "line", tier = 1 },
    -- May be absent: plugged in later, it is found within seconds. The contract says 20 GB from the 15th on, and counts headers
    -- too. The end is hard, since what comes after is dear; where it is only slow, say "soft".
    { interface = "wwan0", name = "lte", tier = 2, tags = { "metered" },
      quota = "19G", quota_day = 15, quota_end = "hard" },
  },

  -- A line that is broken further up does not refuse connections, it just does not answer. When the line has been silent for
  -- half of this time, the stick is tried: three seconds are short enough to wait. A line that is full is slow, but it does
  -- receive: it gets all six seconds, and nothing goes by the stick.
  dial_timeout = 6,
}
