-- One small computer serves the whole household. It is connected to both routers, and every phone, console and laptop
-- uses it as its proxy.
--
--   steerway check --config examples/household/config.lua
--   steerway start --config examples/household/config.lua

return {
  -- This computer's address in the home network. "*" would listen on all its addresses, also those towards the
  -- internet.
  listen = { "localhost:1080", "192.168.1.2:1080" },

  -- Clients that are served: this computer, and the home network.
  allow = { "127.0.0.0/8", "::1", "192.168.1.0/24" },

  -- To demand names and passwords as well, write lines of USER:PASS into the file `users` beside this one. SOCKS4
  -- clients are then refused, since they have no passwords.
  -- auth_file = "users",

  -- The policy in the file beside this one. Edit it while the proxy runs: saving reloads it.
  policy = "policy.lua",
  set = {
    office = "192.168.1.10", -- the computer for video calls
    line = "fibre", -- uses this line while it works
  },

  uplinks = {
    { interface = "eth1", name = "fibre", weight = 100 },
    { interface = "eth2", name = "cable", weight = 50 },
  },
}
