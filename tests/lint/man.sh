#!/bin/sh
# Lint: mandoc finds no fault with the man pages, where it is installed. sh tests/lint/man.sh [ROOT]
# Long lines are the pages' habit (one sentence a line), and the pages that they name may not be installed here.
cd "${1:-.}" || exit 1
command -v mandoc >/dev/null || { echo "SKIPPED mandoc is not installed, so the man pages were not examined"; exit 0; }
found=$(for page in docs/*.[1-8]; do mandoc -Tlint -Wstyle "$page"; done 2>&1 |
  grep -v -e 'line longer than 80 bytes' -e 'referenced manual not found' -e 'outdated mandoc.db')
[ -z "$found" ] || { echo "$found"; exit 1; }
