# Sourced by ./dev: the proxies that ./dev bench measures beside ours.
# shellcheck shell=bash disable=SC2154 # ROOT, say: ./dev's

PEERS="microsocks dante-server haproxy squid tinyproxy privoxy nginx"

# Have them in build/peers, and export STEERWAY_PEERS. Their packages would start servers, now and at each boot; so they
# are unpacked, with the libraries that this machine lacks. Those that cannot be had are left out.
peers_need() {
  local folder=$ROOT/build/peers names
  export STEERWAY_PEERS=$folder
  [ ! -e "$folder/complete" ] || return 0
  if ! command -v apt-get >/dev/null; then
    say "Only the peers that are installed are measured: unpacking others is done by apt-get alone."
    return 0
  fi
  say "Unpacking the peers into build/peers (they are not installed: they would start servers)."
  mkdir -p "$folder" && cd "$folder" || exit 1
  # shellcheck disable=SC2086 # lists of words
  names=$(apt-get -s install --no-install-recommends $PEERS 2>/dev/null | awk '/^Inst/ { print $2 }')
  # shellcheck disable=SC2086
  if ! packages_download $names; then
    say "Not all of them could be had (sudo apt-get update may help): $(tail -1 download.log)"
  fi
  for name in ./*.deb; do
    [ ! -e "$name" ] || dpkg -x "$name" . || exit 1
  done
  rm -f ./*.deb download.log
  [ -z "$(find . -name haproxy -type f)" ] || touch complete
  cd "$ROOT" || exit 1
}
