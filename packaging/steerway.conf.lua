-- The config of the service steerway. steerway.conf(5) describes all keys; /usr/share/doc/steerway/examples has complete
-- set-ups. After a change:
--
--   steerway check --config /etc/steerway/steerway.conf.lua
--   sudo systemctl reload steerway
--
-- As it is, programs of this machine are served on port 1080, by all usable links of this machine.

return {
  -- Where clients connect, by SOCKS or HTTP. "*:1080" serves the local network, too: then set allow, or users.
  listen = "localhost:1080",

  -- Who may connect, where other machines can.
  -- allow = { "192.168.1.0/24" },

  -- A file with a line USER:PASS for each user. chgrp steerway and chmod 640 keep it from other users of this machine.
  -- auth_file = "/etc/steerway/users",

  -- The log is in the journal: journalctl -u steerway. "journal" stores each field as one of its own; files in that
  -- folder are rotated.
  -- log_to = "/var/log/steerway/proxy.log",

  -- Destinations that are refused.
  -- deny = { "*:25" },

  -- How uplinks are chosen: man steerway-policy lists the policies that ship. A path names a file of your own.
  -- policy = "fair_share",

  -- The uplinks; without them, all usable links, also those that are plugged in later. steerway list shows the links.
  -- uplinks = {
  --   { interface = "eth0", name = "fibre", weight = 10 },
  --   { interface = "wwan0", name = "lte", tier = 2, tags = { "metered" }, quota = "20G", quota_day = 15 },
  -- },
}
