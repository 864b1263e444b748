#!/bin/sh
# Lint: shell scripts parse, and please shellcheck where it is installed. sh tests/lint/shell.sh [ROOT]
cd "${1:-.}" || exit 1
faults=0
for file in dev .ci/run tests/lint/selftest tests/lint/*.sh tests/tools/*.sh examples/*/*.sh packaging/p*; do
  [ -f "$file" ] || continue
  shell="sh"
  if head -n 3 "$file" | grep -q bash; then
    shell="bash"
  fi
  "$shell" -n "$file" || faults=1
  if command -v shellcheck >/dev/null; then
    shellcheck --severity=warning "$file" || faults=1
  fi
done
exit $faults
