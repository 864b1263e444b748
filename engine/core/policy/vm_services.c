#include "policy/vm_services.h"

#include "base/clock.h"
#include "base/log.h"
#include "policy/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lauxlib.h>

/* A list of 100,000 domain names takes 2 MiB. */
enum { FILE_MAX = 8 << 20, LINES_PER_WINDOW = 20 };
/* Files are recorded to be watched. A policy that asks for more is asking for files that do not exist.
 * Each path is shorter than PATH_MAX, so all take at most 1 MiB. */
enum { FILES_MAX = 256 };

/* Calls no Lua, so no error can leak the descriptor. */
static ssize_t read_whole(const char *path, char *to, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    size_t have = 0;
    ssize_t n = 0;
    while (have < size) {
        n = read(fd, to + have, size - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        have += (size_t)n;
    }
    int failure = n < 0 ? errno : 0;
    (void)close(fd);
    return failure ? -failure : (ssize_t)have;
}

static struct vm *vm_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* Without memory the file is not watched. */
static void note_file(struct vm_files *f, const char *path)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->items[i], path) == 0)
            return;
    if (f->n == FILES_MAX)
        return;
    char **items = reallocarray(f->items, f->n + 1, sizeof *items);
    if (!items)
        return;
    f->items = items;
    items[f->n] = strdup(path);
    if (items[f->n])
        f->n++;
}

void vm_note_file(struct vm *vm, const char *path)
{
    note_file(vm->files, path);
}

static int service_refuse(lua_State *L, const char *path, const char *why)
{
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", path, why);
    return 2;
}

/* libc looks up a translation under a lock. */
static const char *text_of(int error)
{
    escape_hold();
    const char *text = strerror(error);
    escape_release();
    return text;
}

int vm_service_read(lua_State *L)
{
    size_t path_len;
    const char *path = luaL_checklstring(L, 1, &path_len);
    struct stat info;
    if (path_len >= PATH_MAX) {
        lua_pushnil(L);
        lua_pushfstring(L, "a path of %d bytes: %s", (int)path_len, text_of(ENAMETOOLONG));
        return 2;
    }
    escape_hold();
    vm_note_file(vm_of(L), path);
    int failure = stat(path, &info) < 0 ? errno : 0;
    escape_release();
    if (failure)
        return service_refuse(L, path, text_of(failure));
    if (!S_ISREG(info.st_mode))
        return service_refuse(L, path, "expected a regular file");
    if (info.st_size > FILE_MAX)
        return service_refuse(L, path, "is larger than 8 MiB");
    size_t size = (size_t)info.st_size;
    char *buffer = lua_newuserdata(L, size ? size : 1);
    escape_hold();
    ssize_t n = read_whole(path, buffer, size);
    escape_release();
    if (n < 0)
        return service_refuse(L, path, text_of((int)-n));
    lua_pushlstring(L, buffer, (size_t)n);
    return 1;
}

int vm_service_log(lua_State *L)
{
    struct vm *vm = vm_of(L);
    const char *level = luaL_checkstring(L, 1);
    size_t len;
    const char *text = luaL_checklstring(L, 2, &len);
    uint32_t hidden;
    if (!log_limit_pass(&vm->says, clock_now_s(), LINES_PER_WINDOW, &hidden))
        return 0;
    enum log_level at = strcmp(level, "error") == 0  ? LOG_ERROR
                        : strcmp(level, "warn") == 0 ? LOG_WARN
                                                     : LOG_INFO;
    escape_hold();
    if (vm->said)
        held_log_add(vm->said, at, slice_of(text, len), vm->generation, hidden);
    else
        held_log_write(at, slice_of(text, len), vm->generation, hidden);
    escape_release();
    return 0;
}

static int call_held(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    escape_hold();
    int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    escape_release();
    return status == 0 ? lua_gettop(L) : lua_error(L);
}

void vm_service_hold(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, call_held, 1);
    lua_setfield(L, -2, name);
}

static int refuse_metric(lua_State *L, const char *why)
{
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
}

/* Whether no living VM can use the number: the serving VM is at most one generation older. */
static bool is_left(const struct vm_metrics *m, size_t i, uint32_t generation)
{
    return m->generation[i] + 1 < generation;
}

static size_t find_metric(const struct vm_metrics *m, const char *name)
{
    size_t i = 0;
    while (i < m->n && strcmp(m->items[i].name, name) != 0)
        i++;
    return i;
}

/* The slot for a new name: after the others, or that of the name that has been unused the longest.
 * @return VM_METRICS_ROOM when this generation has the maximum */
static size_t place_for_metric(const struct vm_metrics *m, uint32_t generation)
{
    size_t own = 0, oldest = VM_METRICS_ROOM;
    for (size_t i = 0; i < m->n; i++) {
        own += m->generation[i] == generation;
        if (is_left(m, i, generation) &&
            (oldest == VM_METRICS_ROOM || m->generation[i] < m->generation[oldest]))
            oldest = i;
    }
    if (own >= POLICY_METRICS_MAX)
        return VM_METRICS_ROOM;
    return m->n < VM_METRICS_ROOM ? m->n : oldest;
}

int vm_service_metric(lua_State *L)
{
    struct vm *vm = vm_of(L);
    struct vm_metrics *m = vm->metrics;
    const char *name = luaL_checkstring(L, 1);
    bool gauge = lua_toboolean(L, 2);

    if (!m)
        return refuse_metric(L, "a config file has no counters and gauges");
    size_t i = find_metric(m, name);
    bool fresh = i == m->n;
    if (fresh || m->generation[i] != vm->generation) {
        size_t place = place_for_metric(m, vm->generation);
        if (place == VM_METRICS_ROOM)
            return refuse_metric(L, "the limit of 256 counters and gauges is reached");
        i = fresh ? place : i;
    }
    if (!fresh && m->items[i].gauge != gauge && !is_left(m, i, vm->generation))
        return refuse_metric(L, gauge ? "a counter has this name already" : "a gauge has this name already");
    escape_hold();
    if (fresh || m->items[i].gauge != gauge) {
        m->n = i == m->n ? m->n + 1 : m->n;
        m->items[i] = (struct policy_metric){.gauge = gauge};
        (void)snprintf(m->items[i].name, sizeof m->items[i].name, "%s", name);
    }
    m->generation[i] = vm->generation;
    escape_release();
    lua_pushlightuserdata(L, &m->items[i].value);
    return 1;
}
