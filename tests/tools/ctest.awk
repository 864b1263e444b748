# Count the cmocka tests in the output of `ctest -V`: prints SKIPPED lines, then "PASSED FAILED". A program that
# fails without naming a failed test (a crash, a leak found at exit, a time-out) counts as one failure.
function program(line) {
  sub(/^[^#]*#/, "", line)
  return line + 0
}

/^[0-9]+: \[  PASSED  \] [0-9]+ test\(s\)/ { passed[$1 + 0] += $5 }
/^[0-9]+: \[  FAILED  \] [0-9]+ test\(s\)/ { failed[$1 + 0] += $5 }
/^[0-9]+: \[  SKIPPED \] [0-9]+ test\(s\)/ { skipped[$1 + 0] += $5 }
/^[0-9]+: skipped: / { why[$1 + 0] = substr($0, index($0, "skipped: ") + 8) } # said by the test before it skips
/^[0-9]+: \[  SKIPPED \] [A-Za-z_]+[^ ]*$/ { print "SKIPPED " $NF ":" why[$1 + 0] }
/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / { ended[program($0)] = / Passed / ? "well" : "badly" }

END {
  for (n in ended) {
    p += passed[n]
    f += failed[n]
    if (ended[n] == "badly" && !failed[n]) f++
    if (ended[n] == "well" && !passed[n] && !failed[n] && !skipped[n]) p++
  }
  print p + 0, f + 0
}
