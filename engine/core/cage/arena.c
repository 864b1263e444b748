#include "cage/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

enum {
    PAGE = 4096,
    SPAN_PAGES = 4,
    SMALL_MAX = 4096,
    GRAIN = 16,
    CLASSES = 32,
    RUN = CLASSES, /* class of a page: a run of whole pages for one block */
    NONE = 0,      /* end of a list of pages: page 0 holds no block */
    BITS = 64
};

/* Data of a page. For a span or run, the first page holds all except `back`. */
struct page {
    void *freed;         /* of a span: released blocks, linked through their first bytes */
    uint32_t next, prev; /* of a span: neighbours in the list of spans of its class with room */
    uint32_t pages;      /* of a run */
    uint16_t live;       /* of a span: blocks in use */
    uint16_t fresh;      /* of a span: blocks that were ever in use; the rest is untouched */
    uint8_t class;       /* or RUN */
    uint8_t back;        /* distance to the span's first page */
};

struct arena {
    size_t mapped;             /* bytes */
    uint32_t n_pages, n_words; /* of blocks: pages; words in the bitmap */
    uint32_t lowest;           /* all pages below are in use */
    uint32_t roomy[CLASSES];   /* first span with room, by class */
    uint8_t class_of[SMALL_MAX / GRAIN + 1];
    uint16_t size_of[CLASSES], blocks_of[CLASSES]; /* by class: bytes of a block; blocks of a span */
    char *base;                                    /* address of page 0, which holds no block */
    uint64_t *used;
    struct page *pages;
};

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* Sixteen sizes up to 256 bytes, then four to each doubling. */
static void make_classes(struct arena *a)
{
    size_t size = 0, step = GRAIN;

    for (unsigned c = 0; c < CLASSES; c++) {
        if (size >= 256 && (size & (size - 1)) == 0)
            step = size / 4;
        size += step;
        a->size_of[c] = (uint16_t)size;
        a->blocks_of[c] = (uint16_t)(SPAN_PAGES * PAGE / size);
    }
    unsigned c = 0;
    for (size_t i = 1; i <= SMALL_MAX / GRAIN; i++) {
        while (a->size_of[c] < i * GRAIN)
            c++;
        a->class_of[i] = (uint8_t)c;
    }
}

static unsigned class_of(const struct arena *a, size_t size)
{
    return a->class_of[(size + GRAIN - 1) / GRAIN];
}

/* --- pages ---------------------------------------------------------------------------------------------- */

static void mark(struct arena *a, uint32_t first, uint32_t n, bool used)
{
    for (uint32_t p = first; p < first + n;) {
        uint32_t bit = p % BITS, m = BITS - bit < first + n - p ? BITS - bit : first + n - p;
        uint64_t mask = (m == BITS ? UINT64_MAX : (UINT64_C(1) << m) - 1) << bit;
        if (used)
            a->used[p / BITS] |= mask;
        else
            a->used[p / BITS] &= ~mask;
        p += m;
    }
}

/* The next page from p on that is in use, or is free; n_words * BITS if there is none. */
static uint32_t next_page(const struct arena *a, uint32_t p, bool used)
{
    for (uint32_t w = p / BITS; w < a->n_words; w++) {
        uint64_t bits = used ? a->used[w] : ~a->used[w];
        if (w == p / BITS)
            bits &= UINT64_MAX << p % BITS;
        if (bits)
            return w * BITS + (uint32_t)__builtin_ctzll(bits);
    }
    return a->n_words * BITS;
}

/* First fit. @return the first page, or NONE */
static uint32_t take_pages(struct arena *a, uint32_t n)
{
    uint32_t p = next_page(a, a->lowest, false);

    a->lowest = p;
    while (p < a->n_pages) {
        uint32_t end = next_page(a, p, true);
        if (end - p >= n) {
            mark(a, p, n, true);
            return p;
        }
        p = next_page(a, end, false);
    }
    return NONE;
}

static void give_pages(struct arena *a, uint32_t first, uint32_t n)
{
    mark(a, first, n, false);
    if (first < a->lowest)
        a->lowest = first;
}

static void *at_page(const struct arena *a, uint32_t page)
{
    return a->base + (size_t)page * PAGE;
}

static uint32_t page_of(const struct arena *a, const void *block)
{
    return (uint32_t)((size_t)((const char *)block - a->base) / PAGE);
}

static uint32_t pages_for(size_t size)
{
    return (uint32_t)(round_up(size, PAGE) / PAGE);
}

/* --- the whole ------------------------------------------------------------------------------------------ */

static void clear(struct arena *a)
{
    a->lowest = 1;
    memset(a->roomy, NONE, sizeof a->roomy);
    memset(a->used, 0, a->n_words * sizeof *a->used);
    mark(a, 0, 1, true);
    mark(a, a->n_pages, a->n_words * BITS - a->n_pages,
         true); /* pages beyond the arena's end count as used */
}

struct arena *arena_new(size_t size)
{
    size_t n_pages = round_up(size, PAGE) / PAGE + 1, n_words = round_up(n_pages, BITS) / BITS;
    size_t head = round_up(sizeof(struct arena), GRAIN), words = round_up(n_words * sizeof(uint64_t), GRAIN);
    size_t own = round_up(head + words + n_pages * sizeof(struct page), PAGE);
    size_t mapped = own + n_pages * PAGE;

    if (n_pages > UINT32_MAX / 2)
        return NULL;
    char *at = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    /* With huge pages, a heap of some hundred KiB would take MiBs. */
    (void)madvise(at, mapped, MADV_NOHUGEPAGE);
    struct arena *a = (void *)at;
    *a = (struct arena){.mapped = mapped,
                        .n_pages = (uint32_t)n_pages,
                        .n_words = (uint32_t)n_words,
                        .base = at + own,
                        .used = (void *)(at + head),
                        .pages = (void *)(at + head + words)};
    make_classes(a);
    clear(a);
    return a;
}

void arena_free(struct arena *a)
{
    if (a)
        (void)munmap(a, a->mapped);
}

void arena_reset(struct arena *a)
{
    clear(a);
}

/* --- spans ---------------------------------------------------------------------------------------------- */

static void link_span(struct arena *a, uint32_t first)
{
    struct page *span = &a->pages[first];
    uint32_t head = a->roomy[span->class];

    span->prev = NONE;
    span->next = head;
    if (head != NONE)
        a->pages[head].prev = first;
    a->roomy[span->class] = first;
}

static void unlink_span(struct arena *a, const struct page *span)
{
    if (span->prev != NONE)
        a->pages[span->prev].next = span->next;
    else
        a->roomy[span->class] = span->next;
    if (span->next != NONE)
        a->pages[span->next].prev = span->prev;
}

static uint32_t new_span(struct arena *a, unsigned class)
{
    uint32_t first = take_pages(a, SPAN_PAGES);

    if (first == NONE)
        return NONE;
    a->pages[first] = (struct page){.class = (uint8_t) class};
    for (uint8_t i = 1; i < SPAN_PAGES; i++)
        a->pages[first + i].back = i;
    link_span(a, first);
    return first;
}

static void *allocate_small(struct arena *a, size_t size)
{
    unsigned class = class_of(a, size);
    uint32_t first = a->roomy[class];
    void *block;

    if (first == NONE) {
        first = new_span(a, class);
        if (first == NONE)
            return NULL;
    }
    struct page *span = &a->pages[first];
    if (span->freed) {
        block = span->freed;
        memcpy(&span->freed, block, sizeof span->freed);
    } else {
        block = (char *)at_page(a, first) + (size_t)span->fresh++ * a->size_of[class];
    }
    if (++span->live == a->blocks_of[span->class])
        unlink_span(a, span);
    return block;
}

static void release_small(struct arena *a, uint32_t first, void *block)
{
    struct page *span = &a->pages[first];

    memcpy(block, &span->freed, sizeof span->freed);
    span->freed = block;
    if (span->live-- == a->blocks_of[span->class])
        link_span(a, first);
    /* Keep the last span of a class, or a single block could create and free it again and again. */
    if (span->live == 0 && (span->next != NONE || span->prev != NONE)) {
        unlink_span(a, span);
        for (uint32_t i = 0; i < SPAN_PAGES; i++)
            a->pages[first + i].back = 0;
        give_pages(a, first, SPAN_PAGES);
    }
}

/* --- runs ----------------------------------------------------------------------------------------------- */

static void *allocate_run(struct arena *a, size_t size)
{
    if (size > (size_t)a->n_pages * PAGE)
        return NULL;
    uint32_t n = pages_for(size), first = take_pages(a, n);
    if (first == NONE)
        return NULL;
    a->pages[first] = (struct page){.class = RUN, .pages = n};
    return at_page(a, first);
}

/* Grow or shrink in place. @return false if the block must move */
static bool resize_run(struct arena *a, uint32_t first, uint32_t n)
{
    uint32_t old = a->pages[first].pages;

    if (n < old) {
        give_pages(a, first + n, old - n);
    } else if (n > old) {
        if (n > a->n_pages - first || next_page(a, first + old, true) < first + n)
            return false;
        mark(a, first + old, n - old, true);
    }
    a->pages[first].pages = n;
    return true;
}

/* --- blocks --------------------------------------------------------------------------------------------- */

void *arena_allocate(struct arena *a, size_t size)
{
    return size <= SMALL_MAX ? allocate_small(a, size) : allocate_run(a, size);
}

static uint32_t first_page(const struct arena *a, const void *block)
{
    uint32_t page = page_of(a, block);
    return page - a->pages[page].back;
}

void arena_release(struct arena *a, void *block)
{
    if (!block)
        return;
    uint32_t first = first_page(a, block);
    if (a->pages[first].class == RUN)
        give_pages(a, first, a->pages[first].pages);
    else
        release_small(a, first, block);
}

void *arena_resize(struct arena *a, void *block, size_t old, size_t size)
{
    if (!block)
        return arena_allocate(a, size);
    uint32_t first = first_page(a, block);
    const struct page *p = &a->pages[first];
    if (p->class == RUN
            ? size > SMALL_MAX && size <= (size_t)a->n_pages * PAGE && resize_run(a, first, pages_for(size))
            : size <= SMALL_MAX && class_of(a, size) == p->class)
        return block;
    void *moved = arena_allocate(a, size);
    if (!moved)
        return size < old ? block : NULL;
    memcpy(moved, block, old < size ? old : size);
    arena_release(a, block);
    return moved;
}

void arena_trim(struct arena *a)
{
    for (uint32_t p = next_page(a, 1, false); p < a->n_pages;) {
        uint32_t end = next_page(a, p, true);
        (void)madvise(at_page(a, p), (size_t)(end - p) * PAGE, MADV_DONTNEED);
        p = next_page(a, end, false);
    }
}
