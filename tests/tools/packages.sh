# Sourced by ./dev: the packages that building and testing need, and how they come onto the machine.
# shellcheck shell=bash disable=SC2034 # the lists are used by their names

# By purpose, for Debian and its children. a|b: any of them will do; the first that the distribution knows is taken.
# a|-: a test is skipped without it, so a distribution that does not know it will do.
PACKAGES_run="gcc libc6-dev make cmake ninja-build pkg-config libev-dev libluajit-5.1-dev libmnl-dev
  libjansson-dev libpsl-dev libidn2-dev libssl-dev libcrypt-dev"
PACKAGES_lint="clang-format-14|clang-format luajit lua-check mandoc|-"
PACKAGES_test="clang lld|- libclang-rt-dev|libclang-rt-14-dev libcmocka-dev lua-busted python3 python3-pytest dpkg-dev file
  iproute2 nftables util-linux mount procps libcap2-bin tcpdump curl wget git ncat aria2 duktape|-
  openssh-client python3-socks|- proxychains4|- dropbear-bin|- dante-client|- python3-libtorrent|- bind9-dnsutils|-
  wireguard-go|- wireguard-tools|- dnsmasq-base|- lintian|- zsh|- fish|- systemd|- mmdebstrap|-"

# For those whom we can only tell.
FEDORA_run="gcc cmake ninja-build pkgconf-pkg-config libev-devel luajit-devel libmnl-devel jansson-devel libpsl-devel libidn2-devel openssl-devel libxcrypt-devel"
FEDORA_lint="clang-tools-extra luajit luarocks mandoc"
FEDORA_test="clang compiler-rt libasan libubsan libcmocka-devel python3-pytest iproute iproute-tc nftables util-linux
  procps-ng libcap tcpdump curl wget git nmap-ncat aria2 duktape nginx haproxy
  openssh-clients python3-pysocks proxychains-ng dropbear dante rb_libtorrent-python3 bind-utils coturn wireguard-tools dnsmasq; by luarocks --lua-version 5.1: busted luacheck"
ARCH_run="gcc cmake ninja pkgconf libev luajit libmnl jansson libpsl libidn2 openssl libxcrypt"
ARCH_lint="clang luajit luacheck mandoc"
ARCH_test="compiler-rt cmocka luarocks python-pytest iproute2 nftables util-linux procps-ng libcap tcpdump curl wget git nmap
  aria2 duktape nginx haproxy openssh python-pysocks proxychains-ng dropbear dante libtorrent-rasterbar bind coturn wireguard-tools dnsmasq; by luarocks --lua-version 5.1: busted"

# What must answer where no package manager vouches for it.
TOOLS_run="gcc cmake ninja pkg-config"
MODULES_run="libmnl luajit jansson libpsl libidn2"
TOOLS_lint="luajit luacheck"
TOOLS_test="clang busted ip tc nft unshare setcap tcpdump curl wget git ncat aria2c"
MODULES_test="cmocka"

AS_ROOT=() # what precedes a command that needs root

# The list of this kind (PACKAGES, TOOLS, …) for all given purposes, one entry a line.
listed() {
  local kind=$1 purpose name
  shift
  for purpose in "$@"; do
    name=${kind}_$purpose
    printf '%s\n' "${!name:-}"
  done | tr -s ' ' '\n' | grep .
}

# Print those entries of which no alternative is installed.
packages_missing() {
  local entries
  entries=$(listed PACKAGES "$@")
  # shellcheck disable=SC2046 # a list of words
  dpkg-query -W -f='${Package} ${db:Status-Status}\n' $(tr '|' '\n' <<<"$entries") 2>/dev/null |
    awk -v entries="$entries" '$2 == "installed" { there[$1] = 1 }
      END {
        n = split(entries, entry, "\n")
        for (i = 1; i <= n; i++) {
          found = 0
          m = split(entry[i], name, "|")
          for (j = 1; j <= m; j++) found = found || name[j] in there
          if (!found) print entry[i]
        }
      }'
}

distribution_knows() { apt-cache show "$1" 2>/dev/null | grep -q .; }

# Of each a|b the first that the distribution knows; of an unknown a|- nothing.
packages_choose() {
  local entry name
  for entry in "$@"; do
    for name in ${entry//|/ }; do
      if [ "$name" = - ]; then
        continue 2
      elif distribution_knows "$name"; then
        entry=$name
        break
      fi
    done
    printf '%s\n' "${entry%%|*}"
  done
}

# The system's Python, for which the system's pytest is.
python() { if [ -x /usr/bin/python3 ]; then echo /usr/bin/python3; else echo python3; fi; }

# Print the tools, modules and headers that are not there.
tools_missing() {
  local name
  for name in $(listed TOOLS "$@"); do
    command -v "$name" >/dev/null || echo "$name"
  done
  for name in $(listed MODULES "$@"); do
    pkg-config --exists "$name" 2>/dev/null || echo "the library $name with its headers"
  done
  if [[ " $* " == *" run "* ]]; then
    echo '#include <ev.h>' | gcc -E - >/dev/null 2>&1 || echo "the library libev with its headers"
  fi
  if [[ " $* " == *" test "* ]]; then
    "$(python)" -c 'import pytest' 2>/dev/null || echo "pytest for $(python)"
  fi
}

one_line() { tr -s ' \n' '  ' | sed 's/|[^ ]*//g; s/ *$//'; }

# Nothing can be installed from here. Go on if everything is there all the same; else say what is needed and end.
packages_else() {
  local why=$1 missing
  shift
  missing=$(tools_missing "$@")
  [ -n "$missing" ] || return 0
  say "$why"
  say "This is missing:"
  printf '%s\n' "$missing" | sed 's/^/  /'
  say "It comes with these packages; install them and run this again:"
  say "  Debian, Ubuntu: $(listed PACKAGES "$@" | one_line)"
  say "  Fedora: $(listed FEDORA "$@" | one_line)"
  say "  Arch: $(listed ARCH "$@" | one_line)"
  exit 1
}

# apt-get as root, showing what it says only when it fails.
apt_get() {
  local log status=0
  log=$(mktemp) || exit 1
  "${AS_ROOT[@]}" env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
    apt-get -o DPkg::Lock::Timeout=600 "$@" >"$log" 2>&1 </dev/null || status=$?
  [ $status -eq 0 ] || cat "$log" >&2
  rm -f "$log"
  return $status
}

# Have what these purposes need, or end.
packages_need() {
  local missing
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    packages_else "Packages are installed from here on systems with apt-get only." "$@"
    return 0
  fi
  mapfile -t missing < <(packages_missing "$@")
  # Nothing is to be done where only such a|- are missing that the distribution does not know.
  [ -n "$(packages_choose "${missing[@]}")" ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      packages_else "To install packages, this must run as root, or sudo must be there." "$@"
      return 0
    fi
    AS_ROOT=(sudo)
  fi
  say "Installing with ${AS_ROOT[*]:+sudo }apt-get: ${missing[*]%%|*}"
  apt_get update || say "The lists of packages could not be updated; trying with the old ones."
  mapfile -t missing < <(packages_choose "${missing[@]}")
  apt_get install -y --no-install-recommends "${missing[@]}" ||
    packages_else "The packages could not be installed." "$@"
}

# Download packages into this folder, as root or not. What apt-get says is in download.log.
packages_download() {
  local options=()
  [ "$(id -u)" -ne 0 ] || options=(-o APT::Sandbox::User=root)
  apt-get -q "${options[@]}" download "$@" >download.log 2>&1
}

# nginx for the tests. Its package would start a web server on port 80, now and at each boot; so where it is not
# installed, only its binary is taken out of the package.
nginx_need() {
  local folder=$ROOT/build/tools
  PATH=$PATH:$folder/usr/sbin
  command -v nginx >/dev/null && return 0
  if ! command -v apt-get >/dev/null; then
    say "nginx is missing; the end-to-end tests need it."
    exit 1
  fi
  say "Unpacking nginx into build/tools (its package is not installed: it would start a web server)."
  mkdir -p "$folder" && cd "$folder" || exit 1
  if ! packages_download nginx || ! dpkg -x nginx_*.deb . || ! nginx -v 2>&1; then
    cat download.log >&2
    die "nginx could not be had; install it, or run sudo apt-get update and try again"
  fi
  rm -f nginx_*.deb download.log
  cd "$ROOT" || exit 1
}

# Unpack the package of a program for tests that are skipped without it, with the libraries that this machine lacks. It
# is not installed, since it would start a service, now and at each boot.
unpacked_need() {
  local program=$1 name=$2 loss=$3 folder=$ROOT/build/tools options=() package
  [[ $PATH == *:$folder/usr/bin:* ]] || PATH=$PATH:$folder/usr/bin:$folder/usr/sbin
  ! command -v "$program" >/dev/null && command -v apt-get >/dev/null || return 0
  say "Unpacking $name into build/tools (its package is not installed: it would start a service)."
  [ "$(id -u)" -ne 0 ] || options=(-o APT::Sandbox::User=root)
  mkdir -p "$folder/debs/partial" || exit 1
  if apt-get -q -y "${options[@]}" -o Debug::NoLocking=1 -o Dir::Cache::archives="$folder/debs" \
    --download-only --no-install-recommends install "$name" >"$folder/debs/log" 2>&1; then
    for package in "$folder"/debs/*.deb; do dpkg -x "$package" "$folder"; done
  else
    say "$name could not be had: $loss."
  fi
  rm -r "$folder/debs"
}

haproxy_need() { unpacked_need haproxy haproxy "the test of examples/cluster is skipped"; }
dante_need() { unpacked_need danted dante-server "the test with dante as the parent proxy of UDP is skipped"; }
coturn_need() { unpacked_need turnserver coturn "tests with a real STUN server and client are skipped"; }
