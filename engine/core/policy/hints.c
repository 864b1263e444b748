#include "policy/hints.h"

#include "base/compiler.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct hint {
    const char *name; /* as quoted in Lua's message */
    const char *text;
};

/* Globals of Lua that policies lack: "attempt to index global 'io' (a nil value)". */
static const struct hint globals[] = {
    {"io", "io is not in the sandbox: a policy reads lists with ctx.domains { file = … } and ctx.cidrs { "
           "file = … }, and "
           "writes to the log with ctx.log"},
    {"debug", "debug is not in the sandbox: ctx.log and print write to the log"},
    {"package", "package is not in the sandbox: require finds files beside the policy"},
    {"ffi", "ffi is not in the sandbox: a policy calls no C"},
    {"jit", "jit is not in the sandbox: a policy is compiled anyway"},
    {"dofile", "dofile is not in the sandbox: require \"name\" runs name.lua beside the policy"},
    {"loadfile", "loadfile is not in the sandbox: require \"name\" runs name.lua beside the policy"},
    {"module", "module is not in the sandbox: a file that is required returns a table"},
    {"setfenv", "setfenv is not in the sandbox: load takes an environment as fourth argument"},
    {"getfenv", "getfenv is not in the sandbox: _G is the environment"},
    {"newproxy", "newproxy is not in the sandbox: setmetatable takes tables"},
    {"gcinfo", "gcinfo is not in the sandbox: use collectgarbage \"count\""},
    {"balance", "local balance = require \"steerway.balance\" loads it"},
    {"sticky", "local sticky = require \"steerway.sticky\" loads it"},
    {"rules", "local rules = require \"steerway.rules\" loads it"},
    {"quota", "local quota = require \"steerway.quota\" loads it"},
    {"hours", "local hours = require \"steerway.hours\" loads it"},
    {"ctx", "ctx is handed to new: new = function(ctx) … end"},
};

/* Library functions of Lua that the sandbox lacks: "attempt to call field 'getenv'". */
static const struct hint fields[] = {
    {"getenv", "os.getenv is not in the sandbox: give the policy a parameter (params, --set)"},
    {"execute", "os.execute is not in the sandbox: a policy starts no program"},
    {"popen", "io is not in the sandbox: a policy starts no program"},
    {"tmpname", "os.tmpname is not in the sandbox: a policy writes no file"},
    {"setlocale", "os.setlocale is not in the sandbox"},
    {"exit", "os.exit is not in the sandbox: an error ends the call, and the built-in default decides"},
    {"randomseed", "math.randomseed is not in the sandbox: ctx.random is seeded"},
    {"dump", "string.dump is not in the sandbox: a policy is text"},
    {"unpack", "in Lua 5.1 it is the global unpack"},
    {"pack", "Lua 5.1 has no pack: write { ... }; select(\"#\", ...) is the number of values"},
};

/* Locals, by the names that the documentation uses for the hooks' arguments. */
static const struct hint locals[] = {
    {"uplinks", "pick is called as pick(conn, uplinks), without self"},
    {"conn", "a hook's first argument is conn; ctx and self are not handed to it"},
};

/* Names that a config file lacks: it has no ctx and no hooks. */
static const struct hint config_globals[] = {
    {"io", "io is not available in a config file; use os.getenv or require"},
    {"dofile", "dofile is not in the sandbox: require \"name\" runs name.lua beside the config file"},
    {"loadfile", "loadfile is not in the sandbox: require \"name\" runs name.lua beside the config file"},
    {"ctx", "a config file has no ctx; it has os.getenv"},
};
static const struct hint config_fields[] = {
    {"execute", "os.execute is not in the sandbox: a config file starts no program"},
};

static const char READ_ONLY[] =
    "the fields of conn, uplink and stats are read-only; keep what is yours in a local of new";

/* The hint for a quoted name that follows one of Lua's phrases. */
static const char *find_hint(const char *err, const char *phrase, const struct hint *hints, size_t n)
{
    const char *at = strstr(err, phrase);

    if (!at)
        return NULL;
    at += strlen(phrase);
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(hints[i].name);
        if (strncmp(at, hints[i].name, len) == 0 && strncmp(at + len, "' (a nil value)", 15) == 0)
            return hints[i].text;
    }
    return NULL;
}

static const char *hint_of_config(const char *err)
{
    const char *hint = find_hint(err, "attempt to index global '", config_globals, ARRAY_LEN(config_globals));

    if (!hint)
        hint = find_hint(err, "attempt to call global '", config_globals, ARRAY_LEN(config_globals));
    return hint ? hint : find_hint(err, "attempt to call field '", config_fields, ARRAY_LEN(config_fields));
}

static const char *hint_of_policy(const char *err)
{
    const char *hint = NULL;

    if (strstr(err, "attempt to write to constant location"))
        hint = READ_ONLY;
    if (!hint)
        hint = find_hint(err, "attempt to index global '", globals, ARRAY_LEN(globals));
    if (!hint)
        hint = find_hint(err, "attempt to call global '", globals, ARRAY_LEN(globals));
    if (!hint)
        hint = find_hint(err, "attempt to call field '", fields, ARRAY_LEN(fields));
    if (!hint)
        hint = find_hint(err, "attempt to index local '", locals, ARRAY_LEN(locals));
    if (!hint)
        hint = find_hint(err, "attempt to get length of local '", locals, ARRAY_LEN(locals));
    return hint;
}

void hints_add(char *err, size_t size, bool config)
{
    const char *hint = config ? hint_of_config(err) : hint_of_policy(err);
    size_t len = strlen(err);

    if (hint && len + strlen(": ") + strlen(hint) < size)
        (void)snprintf(err + len, size - len, ": %s", hint);
}

/* The length of a path that Lua has cut, ".../folder/p.lua", at the start of err, if file ends with it.
 * @return 0 when err does not begin with such a path */
static size_t cut_path_len(const char *file, const char *err)
{
    static const char CUT[] = "...";
    size_t file_len = strlen(file), colon = strcspn(err, ":"), n = sizeof CUT - 1;

    if (strncmp(err, CUT, n) != 0 || colon <= n || colon - n > file_len)
        return 0;
    return memcmp(err + n, file + file_len - (colon - n), colon - n) == 0 ? colon : 0;
}

/* A longer path is cut at its front, to leave room for the message. */
enum { PATH_SHOWN_MAX = 512 };

void hints_name_file(const char *file, char *err, size_t size)
{
    size_t cut = cut_path_len(file, err), len = strlen(err), path_len = strlen(file);

    if (strstr(err, file) || (cut > 0 && path_len > PATH_SHOWN_MAX))
        return;
    if (path_len > PATH_SHOWN_MAX) {
        file += path_len - PATH_SHOWN_MAX;
        path_len = PATH_SHOWN_MAX;
    }
    size_t prefix = path_len + (cut > 0 ? 0 : strlen(": "));
    if (prefix + len - cut >= size) {
        len = size - 1 - prefix + cut;
        err[len] = '\0';
    }
    memmove(err + prefix, err + cut, len - cut + 1);
    memcpy(err, file, path_len);
    if (cut == 0)
        memcpy(err + path_len, ": ", strlen(": "));
}
