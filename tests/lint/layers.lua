-- Lint: which room may include which. luajit tests/lint/layers.lua [ROOT]
-- The table below is the "Rooms" section of docs/architecture.md; CMakeLists.txt links by the same list.

package.path = (arg[0]:match "^.*/" or "./") .. "?.lua;" .. package.path
local lint = require "lint"

-- In the order of storeys, from the bottom up. A room may use the rooms named beside it, which must stand above it in
-- this list.
local ROOMS = {
  { "lib/base" },
  { "lib/log", "base" },
  { "lib/netlink", "base" },
  { "lib/addr", "base netlink" },
  { "lib/machine", "base netlink addr" },
  { "lib/net", "base netlink addr machine" },
  { "lib/dns", "base addr net" },
  { "lib/proto", "base" },
  { "lib/peek", "base proto" },
  { "lib/sets", "base" },
  { "core/uplink", "base machine net dns" },
  { "core/cage", "base" },
  { "core/policy", "base sets uplink cage" },
  { "core/relay", "base addr net" },
  { "core/access", "base addr machine net" },
  { "core/parent", "base machine net dns proto uplink" },
  { "core/health", "base net dns proto uplink parent" },
  { "core/outbound", "base addr net dns proto uplink policy access parent health" },
  { "core/datagram", "base addr net peek proto relay" },
  { "core/udp", "base addr machine net dns proto uplink relay datagram access policy parent health outbound" },
  { "core/inbound", "base machine net proto uplink relay access health outbound udp" },
  { "core/http", "base addr net proto uplink relay access health outbound inbound" },
  { "core/socks", "base proto outbound udp inbound" },
  { "core/captured", "base addr machine net peek proto parent outbound udp inbound" },
  { "app/config", "base log addr machine net dns proto uplink policy relay access parent health udp inbound http" },
  { "app/options", "base log addr machine net dns proto uplink policy relay access parent health udp inbound http config" },
  { "app/confine", "base addr config" },
  { "app/keep", "base uplink policy" },
  { "app/follow", "base machine dns uplink policy health inbound config keep" },
  { "app/capture", "base addr machine keep" },
  { "app/view", "base addr outbound inbound" },
  { "app/control", "base addr machine net dns proto sets uplink health outbound inbound config keep follow capture view" },
  { "app/takeover", "base addr uplink config keep control" },
  { "app/doctor", "base machine uplink health config confine capture" },
  { "app/simulate", "base uplink policy" },
  { "app/show", "base" },
  { "app/cli", "base uplink config options show" },
  { "app/setup", "base machine uplink" },
  { "app/complete", "base options cli" },
  { "app/ask", "base config control cli show" },
  { "app/serve", "base log net machine uplink policy relay udp health inbound http socks captured config confine keep follow "
    .. "capture control takeover" },
  { "app/main", "base log netlink peek uplink policy access config options confine follow capture control doctor simulate "
    .. "show cli setup complete ask serve" },
}

local LAYERS, STOREY = {}, {} -- by a room's name: what it may use, and its storey
for _, row in ipairs(ROOMS) do
  local storey, name = row[1]:match "^(%w+)/(%w+)$"
  LAYERS[name], STOREY[name] = {}, storey
  for used in (row[2] or ""):gmatch "%S+" do
    assert(LAYERS[used], ("layers.lua: %s stands above %s, which it may use"):format(name, used))
    table.insert(LAYERS[name], used)
  end
end

-- Libraries, and the rooms that may see them.
local LOOP = {
  "machine", "net", "dns", "relay", "access", "datagram", "parent", "health", "outbound", "udp", "inbound", "http", "keep",
  "follow", "capture", "view", "control", "takeover", "serve",
}
local LIBRARIES = {
  ["lua.h"] = { "cage", "policy" },
  ["lualib.h"] = { "policy" },
  ["lauxlib.h"] = { "policy" },
  ["luajit.h"] = { "cage" },
  ["ev.h"] = LOOP,
  ["libpsl.h"] = { "policy" },
  ["idn2.h"] = { "sets" },
  ["openssl/crypto.h"] = { "peek" },
  ["openssl/evp.h"] = { "peek" },
  ["openssl/hmac.h"] = { "peek" },
  ["crypt.h"] = { "access" },
  ["arpa/nameser.h"] = { "dns" },
  ["libmnl/libmnl.h"] = { "netlink", "machine" },
  ["jansson.h"] = {
    "policy", "outbound", "config", "options", "keep", "capture", "view", "control", "takeover", "doctor", "simulate", "show",
    "ask", "serve", "main",
  },
}

-- Rooms of parsers.
local PURE = { proto = true, peek = true }

-- The system headers that a pure room may include: no descriptor, no memory of its own, no clock. (stdio.h is there
-- only for snprintf.)
local PURE_HEADERS = {}
for name in ("assert ctype errno inttypes limits stdarg stdbool stddef stdint stdio string strings"):gmatch("%a+") do
  PURE_HEADERS[name .. ".h"] = true
end
PURE_HEADERS["arpa/inet.h"] = true -- inet_pton and inet_ntop
PURE_HEADERS["netinet/in.h"] = true -- in6_addr
local PURE_MAY_NOT_CALL = "malloc calloc realloc reallocarray free strdup strndup aligned_alloc read write recv "
  .. "recvfrom recvmsg send sendto sendmsg open close socket connect accept accept4 bind listen shutdown fcntl ioctl "
  .. "poll select getaddrinfo printf vprintf fprintf vfprintf sprintf vsprintf puts putchar fputs fputc fwrite fopen "
  .. "perror syslog time clock_gettime gettimeofday getenv"

local function set(words)
  local s = {}
  for _, w in ipairs(words) do s[w] = true end
  return s
end

local function split(text)
  local words = {}
  for w in text:gmatch("%S+") do words[#words + 1] = w end
  return words
end

local files = 0

local function check_own(layer, file, number, path)
  local from = path:match("^([%w_]+)/[%w_]+%.h$")
  if not from then
    return lint.fault(file, number, 'include "%s": write it as "room/name.h"', path)
  end
  if not STOREY[from] or not lint.exists(("engine/%s/%s"):format(STOREY[from], path)) then
    return lint.fault(file, number, 'include "%s": engine/%s/%s does not exist', path, STOREY[from] or "*", path)
  end
  if from ~= layer and not set(LAYERS[layer])[from] then
    lint.fault(file, number, "room %s must not know room %s (%s)", layer, from, path)
  end
end

local function check_system(layer, file, number, path)
  local may = LIBRARIES[path]
  if may and not set(may)[layer] then
    lint.fault(file, number, "room %s must not include <%s>; it is for: %s", layer, path, table.concat(may, ", "))
  end
  if PURE[layer] and not may and not PURE_HEADERS[path] then
    lint.fault(file, number, "room %s is pure and must not include <%s>", layer, path)
  end
  if layer == "base" and (path:match("^sys/socket") or path:match("^netinet/") or path:match("^arpa/")) then
    lint.fault(file, number, "room base knows no socket and must not include <%s>", path)
  end
end

local function check_pure(layer, file, text)
  local banned = set(split(PURE_MAY_NOT_CALL))
  for _, line, number in lint.lines(lint.code_only(text)) do
    for word in line:gmatch("([%a_][%w_]*)%s*%(") do
      if banned[word] or word:match("^log_") then
        lint.fault(file, number, "room %s is pure and must not call %s()", layer, word)
      end
    end
    if line:match("%f[%w_]fd%f[^%w_]") then
      lint.fault(file, number, "room %s is pure and must not hold a descriptor (fd)", layer)
    end
  end
end

local function check(file)
  local storey, layer = file:match("^engine/([%w_]+)/([%w_]+)/[%w_]+%.[ch]$")
  if not layer or STOREY[layer] ~= storey then
    return lint.fault(file, 1, "not in a folder that is a room")
  end
  files = files + 1
  local text = assert(lint.read(file), file)
  for _, line, number in lint.lines(text) do
    local open, name = line:match('^%s*#%s*include%s*([<"])([^>"]+)[>"]')
    if open == '"' then
      check_own(layer, file, number, name)
    elseif open then
      check_system(layer, file, number, name)
    elseif line:match("^%s*#%s*include") then
      lint.fault(file, number, "an include must name its file plainly")
    end
  end
  if PURE[layer] then check_pure(layer, file, text) end
end

-- CMakeLists.txt must link exactly what the table says.
local function check_cmake()
  local text = lint.read("CMakeLists.txt") or ""
  for storey, name, words in text:gmatch("steerway_room%((%w+)/(%w+)([^)]*)%)") do
    local used = {}
    for word in words:gmatch("%S+") do
      if word:match("^%l+$") then used[#used + 1] = word end
    end
    if not LAYERS[name] or table.concat(used, " ") ~= table.concat(LAYERS[name], " ") then
      lint.fault("CMakeLists.txt", 1, "room %s/%s must link just: %s", storey, name, table.concat(LAYERS[name] or {}, " "))
    end
  end
end
check_cmake()

for _, file in ipairs(lint.files "engine -name '*.[ch]'") do check(file) end
if files == 0 then lint.fault("engine", nil, "no source file found") end
lint.finish("layers: %d files", files)
