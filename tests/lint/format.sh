#!/bin/sh
# Lint: the shape of the text. sh tests/lint/format.sh [ROOT]
# C by clang-format 14 (another version formats otherwise, so it is not asked), the rest for blanks at line ends,
# tabs and a missing newline at the end. `./dev fmt` repairs the C part.
cd "${1:-.}" || exit 1
faults=0

clang_format=
for candidate in clang-format-14 clang-format; do
  if "$candidate" --version 2>/dev/null | grep -q 'version 14\.'; then
    clang_format=$candidate
    break
  fi
done
if [ -n "$clang_format" ]; then
  find engine tests -name '*.[ch]' -print0 2>/dev/null |
    xargs -0 -r "$clang_format" --dry-run -Werror --style=file || faults=1
else
  echo "SKIPPED format of C: clang-format 14 is not installed"
fi

texts=$(mktemp) || exit 1
trap 'rm -f "$texts"' EXIT
find . \( -path './.git' -o -path './build*' -o -path './.cache' -o -name __pycache__ -o -name .pytest_cache \
  -o -path './tests/fuzz/*/*' \) -prune -o -type f \( -name '*.[ch]' -o -name '*.lua' -o -name '*.py' -o -name '*.sh' \
  -o -name '*.md' -o -name '*.cmake' -o -name '*.json' -o -name CMakeLists.txt -o -name '.[a-z]*' -o -name dev \
  -o -path './.ci/*' -o -name selftest -o -name '*.1' -o -name '*.service' \) -print >"$texts"
tab=$(printf '\t')
while IFS= read -r file; do
  if grep -Hn '[[:blank:]]$' "$file"; then
    echo "$file: blanks at the end of a line"
    faults=1
  fi
  if grep -Hn "$tab" "$file"; then
    echo "$file: tabs; indent with spaces"
    faults=1
  fi
  if [ -s "$file" ] && [ -n "$(tail -c 1 "$file")" ]; then
    echo "$file: no newline at the end"
    faults=1
  fi
done <"$texts"
exit $faults
