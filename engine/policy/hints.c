#include "policy/hints.h"

#include "base/compiler.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct hint {
    const char *name; /* as Lua's message quotes it */
    const char *text;
};

/* Globals that Lua has and a policy has not: "attempt to index global 'io' (a nil value)". */
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
    {"gcinfo", "gcinfo is not in the sandbox: collectgarbage \"count\" is"},
    {"balance", "local balance = require \"steerway.balance\" loads it"},
    {"sticky", "local sticky = require \"steerway.sticky\" loads it"},
    {"rules", "local rules = require \"steerway.rules\" loads it"},
    {"quota", "local quota = require \"steerway.quota\" loads it"},
    {"hours", "local hours = require \"steerway.hours\" loads it"},
    {"ctx", "ctx is handed to new: new = function(ctx) … end"},
};

/* Functions that Lua's libraries have and the sandbox's have not: "attempt to call field 'getenv'". */
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
    {"pack", "in Lua 5.1 { ... } is, and select(\"#\", ...) tells how many"},
};

static const char READ_ONLY[] =
    "the fields of conn, uplink and stats are read-only; keep what is yours in a local of new";

/* The hint for a name that stands, quoted, behind one of Lua's phrases. */
static const char *find(const char *err, const char *phrase, const struct hint *hints, size_t n)
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

void hints_add(char *err, size_t size)
{
    const char *hint = NULL;

    if (strstr(err, "attempt to write to constant location"))
        hint = READ_ONLY;
    if (!hint)
        hint = find(err, "attempt to index global '", globals, ARRAY_LEN(globals));
    if (!hint)
        hint = find(err, "attempt to call global '", globals, ARRAY_LEN(globals));
    if (!hint)
        hint = find(err, "attempt to call field '", fields, ARRAY_LEN(fields));
    size_t len = strlen(err);
    if (hint && len + strlen(": ") + strlen(hint) < size)
        (void)snprintf(err + len, size - len, ": %s", hint);
}
