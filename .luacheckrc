std = "luajit"
max_line_length = 130
files["tests/lua"].std = "+busted"
-- Policies live in the sandbox; what is not there is not a global for them.
files["policies"].std = "luajit"
files["policies"].not_globals = { "io", "debug", "package", "ffi", "jit", "dofile", "loadfile", "getfenv", "setfenv", "module",
  "newproxy", "gcinfo" }
files["lua/steerway/templates/policy_spec.lua"].std = "+busted"
files["lua/steerway/types.lua"].ignore = { "631" }
files["tests/lua/bounds/rows.lua"].ignore = { "631" } -- the rows of a table
files["tests/soak/fuzz_policies.lua"].ignore = { "631" }
