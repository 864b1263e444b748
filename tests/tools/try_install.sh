#!/bin/sh
# Install a build into a folder, move that folder, and see the program run from there and find its Lua files
# there. sh tests/tools/try_install.sh BUILD_FOLDER
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cmake --install "$1" --prefix "$scratch/first" >/dev/null
mv "$scratch/first" "$scratch/second"
sh "$(dirname "$0")/try_tree.sh" "$scratch/second"
