-- A line that usually works, and an LTE stick for when it does not. The stick has a monthly volume. So it carries
-- nothing while the line works, and stops when the volume is used up.
--
--   steerway check --config examples/lte-backup/config.lua
--   steerway start --config examples/lte-backup/config.lua

return {
  listen = "localhost:1080",

  -- Uses the lowest tier that works. When a connection by it fails, the next tier is tried before the client gets an
  -- error.
  policy = "failover",

  uplinks = {
    { interface = "eth0", name = "line", tier = 1 },
    -- The stick may be absent: when it is plugged in, it is found within seconds. The contract says 20 GB from the
    -- 15th on, and counts headers too. The quota is hard, since more volume is expensive. Where the line only becomes
    -- slow, use "soft".
    { interface = "wwan0", name = "lte", tier = 2, tags = { "metered" },
      quota = "19G", quota_day = 15, quota_end = "hard" },
  },

  -- A line that is broken further up does not refuse connections; it just does not answer. After half of this time
  -- without an answer, the stick is tried: three seconds are short enough to wait. A full line is slow but receives
  -- data, so it gets all six seconds, and nothing goes by the stick.
  dial_timeout = 6,
}
