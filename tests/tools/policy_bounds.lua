-- Makes docs/policy-bounds.md from the rows that tests/lua/bounds_spec.lua runs.
--   luajit tests/tools/policy_bounds.lua [ROOT] > docs/policy-bounds.md

local root = arg and arg[1] or "."
package.path = root .. "/tests/lua/?.lua;" .. package.path

io.write [[
# What each call of a policy costs at most

For authors of policies who meet a limit, and for engineers who change the sandbox. `./dev docs` makes this page from
`tests/lua/bounds/rows.lua`; do not edit it. A test calls everything that a policy can reach, and compares its CPU time with
the last column. It fails for a function that has no row here.

A call into a policy may take 50 ms of CPU time ([policies](policies.md)). A timer ticks each 5 ms; from a call's first tick
on, the thread's CPU clock is read at each. (The kernel may deliver the first one late where many threads share a processor.)
From the tick that finds the budget spent, a hook stops Lua code between two instructions, compiled or not. It cannot stop a
C function in the middle of its work. So each function has one of two bounds. Either it is written in Lua ("the budget" stops
it), or its arguments are limited so that one step of it ends soon. The last column is the time, in milliseconds, that one
step takes at most before the hook can stop it.

The parts of a call add up to less than 100 ms:

- the budget (50) and a tick (5);
- one step (40 at most, and few rows have more than 25);
- the collection of garbage (5 after a call that overran; up to 30 after one that did not).

Two kinds of steps are LuaJIT's own. It marks one table, or all tables that changed meanwhile, at a time (15 ms for
all memory that a policy may have). It puts all texts into a larger table when their number has doubled. The times are those
of a slow machine; usual ones take half.

The last wall ends a call that no other limit stops. After 400 ms the call is left, its Lua state is thrown away, and the
built-in default decides. The limit is lower by what other calls have just used of the policy's share. One such call assigns
many number keys that are made to have the same hash. Each makes LuaJIT compare the key with all others, and a table
that grows compares all with all.

All calls together have a bound as well: 0.25 s of CPU time at once, which the time between calls gives back. A policy that has
used it up is not called until half of it is back ([policies](policies.md)). So calls hold one turn of the loop for less than
0.35 s, unless the last wall ends one of them. The same ticks tell what a call took: each counts for 5 ms. Most short calls
meet no tick and count for nothing; the few that meet one make up for them.

C's stack is bounded too. Only `string.gsub`, `coroutine.resume` and what `coroutine.wrap` makes call Lua from C. They may be
nested 50 deep, wherever coroutines were suspended before.

## Faults of LuaJIT

Neither limit stops what LuaJIT compiles wrongly. Such code can read or write outside of a policy's memory, and then the process
ends. The LuaJIT of March 2022, which Debian 12 has, contains the faults below. Steerway keeps policies from them:

| LuaJIT's issue | what is compiled wrongly | what Steerway does |
|---|---|---|
| 1443, 1407 | `string.byte` and `string.sub` with places 2^31 apart | gives LuaJIT places within the text |
| 1083 | `select` with a text for the number | makes it a number before |
| 1194 | a loop that replaces the table that it indexes | turns the optimization `abc` off |

There may be more. `./dev fuzz-policies` looks for them with random loops that LuaJIT compiles. Newer versions of
LuaJIT have fewer known faults, so prefer them where you load policies that others wrote.
With `--no-jit`, LuaJIT interprets the policy and compiles nothing. Then no such fault can be reached, but a pick takes longer.
]]

local section
for _, row in ipairs(require "bounds.rows") do
  if row.section ~= section then
    section = row.section
    io.write(("\n## %s\n\n| what | cost | bound | ms |\n|---|---|---|---|\n"):format(section))
  end
  local names = row.names
  if not names:find "`" and not names:find " " then
    names = "`" .. names .. "`"
  elseif names:find "^[%w_.:]+ [%w_.: ]*[.:]" or names:find "^assert" or names:find "^rawget" or names:find "^pcall"
    or names:find "^load" then
    names = "`" .. names:gsub(" ", "`, `") .. "`"
  end
  io.write(("| %s | %s | %s | %d |\n"):format(names, row.cost, row.bound == "" and "none needed" or row.bound, row.ms))
end
