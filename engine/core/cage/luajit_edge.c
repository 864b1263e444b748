#include "cage/luajit_edge.h"

#include "cage/escape.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
#include <unwind.h>

/* The dynamic linker must find these functions, whatever visibility the build sets. */
#define SEEN_BY_LUAJIT __attribute__((visibility("default"), used))

/* libgcc declares these in no header. */
void __register_frame(void *begin);
void __deregister_frame(void *begin);

/* LuaJIT maps areas of 64 KiB, and 512 KiB in all for a VM; newer versions map 2 MiB. */
enum { AREAS_MAX = 256 };

static struct area {
    const void *owner; /* the call's struct escape, one for each VM */
    void *at;          /* NULL: unused entry */
    size_t size;
    void *frame; /* the frame registered with the unwinder; NULL for none */
} areas[AREAS_MAX];

static struct {
    void *(*mmap)(void *, size_t, int, int, int, off64_t);
    int (*munmap)(void *, size_t);
    void (*register_frame)(void *);
    void (*deregister_frame)(void *);
    _Unwind_Reason_Code (*raise)(struct _Unwind_Exception *);
    void (*set_ip)(struct _Unwind_Context *, _Unwind_Ptr);
} real;

/* Converts a data pointer to a function pointer in the way that POSIX describes for dlsym. */
static void find_symbol(const char *name, void *ret)
{
    *(void **)ret = dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void find_all(void)
{
    find_symbol("mmap64", &real.mmap);
    if (!real.mmap)
        find_symbol("mmap", &real.mmap); /* on systems where off_t always has 64 bits */
    find_symbol("munmap", &real.munmap);
    find_symbol("__register_frame", &real.register_frame);
    find_symbol("__deregister_frame", &real.deregister_frame);
    find_symbol("_Unwind_RaiseException", &real.raise);
    find_symbol("_Unwind_SetIP", &real.set_ip);
}

int luajit_edge_init(void)
{
    return real.mmap && real.munmap && real.register_frame && real.deregister_frame && real.raise &&
                   real.set_ip
               ? 0
               : -ENOSYS;
}

unsigned luajit_edge_areas(void)
{
    unsigned n = 0;

    for (size_t i = 0; i < AREAS_MAX; i++)
        n += areas[i].at != NULL;
    return n;
}

/* The area that holds this address; for NULL, an unused entry. @return NULL for none */
static struct area *area_of(const void *at)
{
    for (size_t i = 0; i < AREAS_MAX; i++) {
        struct area *a = &areas[i];
        if (at ? a->at && (uintptr_t)at - (uintptr_t)a->at < a->size : !a->at)
            return a;
    }
    return NULL;
}

void luajit_edge_drop(const struct escape *owner)
{
    for (size_t i = 0; i < AREAS_MAX; i++) {
        struct area *a = &areas[i];
        if (!a->at || a->owner != owner)
            continue;
        if (a->frame)
            real.deregister_frame(a->frame);
        (void)real.munmap(a->at, a->size);
        *a = (struct area){.at = NULL};
    }
}

/* --- replacements of functions of libc and libgcc ------------------------------------------------------- */

/* A sanitizer maps memory before find_all has run. */
static void *map_early(void *at, size_t size, int protection, int flags, int fd, off64_t offset)
{
    long got = syscall(SYS_mmap, at, size, protection, flags, fd, offset);

    return got == -1 ? MAP_FAILED : (void *)(uintptr_t)got;
}

static void *map(void *at, size_t size, int protection, int flags, int fd, off64_t offset)
{
    if (!real.mmap)
        return map_early(at, size, protection, flags, fd, offset);
    if (!escape_within())
        return real.mmap(at, size, protection, flags, fd, offset);
    struct area *a = area_of(NULL);
    if (!a) { /* LuaJIT continues without compiling */
        errno = ENOMEM;
        return MAP_FAILED;
    }
    escape_hold();
    void *got = real.mmap(at, size, protection, flags, fd, offset);
    if (got != MAP_FAILED)
        *a = (struct area){.owner = escape_state.armed, .at = got, .size = size};
    escape_release();
    return got;
}

SEEN_BY_LUAJIT void *mmap64(void *at, size_t size, int protection, int flags, int fd, off64_t offset)
{
    return map(at, size, protection, flags, fd, offset);
}

#if __SIZEOF_LONG__ == 8
SEEN_BY_LUAJIT void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    return map(at, size, protection, flags, fd, offset);
}
#endif

SEEN_BY_LUAJIT int munmap(void *at, size_t size)
{
    if (!real.munmap)
        return (int)syscall(SYS_munmap, at, size);
    bool within = escape_within();

    if (within)
        escape_hold();
    int rc = real.munmap(at, size);
    struct area *a = escape_is_ours() ? area_of(at) : NULL;
    if (rc == 0 && a)
        *a = (struct area){.at = NULL};
    if (within)
        escape_release();
    return rc;
}

SEEN_BY_LUAJIT void __register_frame(void *begin)
{
    if (!escape_within()) {
        real.register_frame(begin);
        return;
    }
    escape_hold();
    real.register_frame(begin);
    struct area *a = area_of(begin);
    if (a)
        a->frame = begin;
    escape_release();
}

SEEN_BY_LUAJIT void __deregister_frame(void *begin)
{
    bool within = escape_within();

    if (within)
        escape_hold();
    real.deregister_frame(begin);
    struct area *a = escape_is_ours() ? area_of(begin) : NULL;
    if (a)
        a->frame = NULL;
    if (within)
        escape_release();
}

SEEN_BY_LUAJIT _Unwind_Reason_Code _Unwind_RaiseException(struct _Unwind_Exception *exception)
{
    bool within = escape_within();

    if (within) {
        escape_want_room();
        escape_unwinding(true);
    }
    ESCAPE_FORGET_FRAMES();
    _Unwind_Reason_Code code = real.raise(exception);
    if (within) /* the error is not caught: a raise that is caught does not return */
        escape_unwinding(false);
    return code;
}

/* LuaJIT's last call before the unwinder jumps to the landing; the unwinder holds no lock by then. */
SEEN_BY_LUAJIT void _Unwind_SetIP(struct _Unwind_Context *context, _Unwind_Ptr ip)
{
    real.set_ip(context, ip);
    if (escape_within())
        escape_unwinding(false);
}
