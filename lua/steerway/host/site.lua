-- The site of a host, which is its registrable domain, for ctx.site: www.example.co.uk belongs to example.co.uk. Uses
-- libpsl with its public suffix list.

local ffi = require "ffi"

local site = {}

local HOST_MAX = 253 -- RFC 1035 2.3.4, in text form
local KEPT_MAX = 1024 -- number of cached answers, which are much faster

ffi.cdef [[
typedef struct psl_ctx_st psl_ctx_t;
const psl_ctx_t *psl_builtin(void);
const char *psl_registrable_domain(const psl_ctx_t *psl, const char *domain);
]]

local lib, list

---The engine, which is linked with the library, passes the list in. Without the engine, the library is loaded on
---demand.
---@param address lightuserdata
function site.use(address)
  lib, list = ffi.C, ffi.cast("const psl_ctx_t *", address)
  -- Resolve the symbol now: the dynamic linker does it under a lock, and a policy's call may be left at any
  -- instruction.
  assert(lib.psl_registrable_domain)
end

local function load_library()
  local ok, loaded = pcall(ffi.load, "libpsl.so.5")
  if not ok then
    error("ctx.site needs libpsl (Debian's package libpsl5): " .. tostring(loaded), 0)
  end
  lib, list = loaded, loaded.psl_builtin()
end

local function looks_like_address(host)
  return host:find(":", 1, true) ~= nil or host:find "^%d[%d.]*$" ~= nil
end

local kept, n_kept = {}, 0

local function find(host)
  local name = host:lower()
  if name:sub(-1) == "." then
    name = name:sub(1, -2)
  end
  -- The library needs a text without a NUL inside.
  if #name > HOST_MAX or name == "" or looks_like_address(name) or name:find("\0", 1, true) then
    return name
  end
  if not lib then
    load_library()
  end
  local domain = lib.psl_registrable_domain(list, name)
  return domain ~= nil and ffi.string(domain) or name
end

---@param host string  a name in any case, or an address
---@return string      in lower case; an address, and a name without such a domain ("localhost", "co.uk"), is its own site
function site.of(host)
  local known = kept[host]
  if known then
    return known
  elseif type(host) ~= "string" then
    error("ctx.site: expected a host, got " .. type(host), 2)
  end
  if n_kept == KEPT_MAX then
    kept, n_kept = {}, 0
  end
  local found = find(host)
  kept[host], n_kept = found, n_kept + 1
  return found
end

return site
