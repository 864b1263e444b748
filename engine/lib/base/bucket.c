#include "base/bucket.h"

static const uint64_t NS = 1000 * 1000 * 1000;

static uint64_t get(const _Atomic uint64_t *of)
{
    return atomic_load_explicit(of, memory_order_relaxed);
}

/* A rate changes seldom, so a double's 53 bits of a product are exact enough. */
static uint64_t time_of(uint64_t n, uint64_t rate)
{
    return n > UINT64_MAX / NS ? (uint64_t)((double)n / (double)rate * (double)NS) : n * NS / rate;
}

void bucket_set(struct bucket *b, uint64_t rate, uint64_t burst)
{
    atomic_store_explicit(&b->burst, burst, memory_order_relaxed);
    atomic_store_explicit(&b->rate, rate, memory_order_relaxed);
}

/* @return the time from which on n more units may be used */
static uint64_t free_at(const struct bucket *b, uint64_t full_at_ns, uint64_t n, uint64_t rate)
{
    uint64_t burst = get(&b->burst);
    uint64_t credit = time_of(burst > n ? burst - n : 0, rate);

    return full_at_ns > credit ? full_at_ns - credit : 0;
}

bool bucket_take(struct bucket *b, uint64_t now_ns)
{
    uint64_t rate = get(&b->rate), was = get(&b->full_at_ns), next;

    if (rate == 0)
        return true;
    do {
        uint64_t from = was > now_ns ? was : now_ns;
        if (free_at(b, from, 1, rate) > now_ns)
            return false;
        next = from + time_of(1, rate);
    } while (!atomic_compare_exchange_weak_explicit(&b->full_at_ns, &was, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

uint64_t bucket_book(struct bucket *b, uint64_t n, uint64_t now_ns)
{
    uint64_t rate = get(&b->rate), was = get(&b->full_at_ns), from;

    if (rate == 0)
        return now_ns;
    do {
        from = was > now_ns ? was : now_ns;
    } while (!atomic_compare_exchange_weak_explicit(&b->full_at_ns, &was, from + time_of(n, rate),
                                                    memory_order_relaxed, memory_order_relaxed));
    return free_at(b, from, n, rate);
}

void bucket_return(struct bucket *b, uint64_t n)
{
    uint64_t rate = get(&b->rate);

    if (rate > 0)
        (void)atomic_fetch_sub_explicit(&b->full_at_ns, time_of(n, rate), memory_order_relaxed);
}
