#!/bin/sh
# See that an installed tree is whole and that its program works, whatever the current folder and even if the
# source tree were gone. sh tests/tools/try_tree.sh PREFIX
set -eu
prefix=$1
here=$(cd "$(dirname "$0")/../.." && pwd)

for file in bin/steerway share/steerway/policies/fair_share.lua share/steerway/lua/steerway/host.lua \
  share/doc/steerway/copyright; do
  [ -f "$prefix/$file" ] || { echo "not installed: $file"; exit 1; }
done
if [ -f "$here/docs/steerway.1" ]; then
  for page in man1/steerway.1 man5/steerway.conf.5 man7/steerway-policy.7; do
    [ -f "$prefix/share/man/$page" ] || [ -f "$prefix/share/man/$page.gz" ] || { echo "the man page is not installed: $page"; exit 1; }
  done
fi
if [ -d "$here/examples" ]; then
  [ -d "$prefix/share/doc/steerway/examples" ] || { echo "the examples are not installed"; exit 1; }
fi

if [ -f "$here/README.md" ]; then
  luajit "$here/tests/lint/links.lua" "$prefix/share/doc/steerway" || { echo "installed pages link to what is not"; exit 1; }
fi

cd /
"$prefix/bin/steerway" -V
"$prefix/bin/steerway" list
"$prefix/bin/steerway" check 127.0.0.1

# Which Lua files does it read? Break its own copy: it must notice.
echo 'error("this is the installed copy")' >"$prefix/share/steerway/policies/fair_share.lua"
if "$prefix/bin/steerway" check 127.0.0.1 >/dev/null 2>&1; then
  echo "the program reads its policies from elsewhere than its own tree"
  exit 1
fi
