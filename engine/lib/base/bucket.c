#include "base/bucket.h"

static const uint64_t NS = 1000 * 1000 * 1000;
/* A cap's burst is so much longer than timers are late that it loses nothing by them. */
static const uint64_t BURSTS_A_S = 4, BURST_MIN = 16 * 1024;

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

/* @return the time at which a bucket that is full at full_at_ns has nothing owed */
static uint64_t even_at(const struct bucket *b, uint64_t full_at_ns, uint64_t rate)
{
    uint64_t credit = time_of(get(&b->burst), rate);

    return full_at_ns > credit ? full_at_ns - credit : 0;
}

bool bucket_take(struct bucket *b, uint64_t now_ns)
{
    uint64_t rate = get(&b->rate), was = get(&b->full_at_ns), next;

    if (rate == 0)
        return true;
    do {
        next = (was > now_ns ? was : now_ns) + time_of(1, rate);
        if (even_at(b, next, rate) > now_ns)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&b->full_at_ns, &was, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

uint64_t bucket_book(struct bucket *b, uint64_t n, uint64_t now_ns)
{
    uint64_t rate = get(&b->rate), was = get(&b->full_at_ns), next;

    if (rate == 0)
        return now_ns;
    do {
        next = (was > now_ns ? was : now_ns) + time_of(n, rate);
    } while (!atomic_compare_exchange_weak_explicit(&b->full_at_ns, &was, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    return even_at(b, next, rate);
}

void cap_set(struct cap *c, uint64_t rate)
{
    uint64_t burst = rate / BURSTS_A_S > BURST_MIN ? rate / BURSTS_A_S : BURST_MIN;

    bucket_set(&c->up, rate, burst);
    bucket_set(&c->down, rate, burst);
}

uint64_t cap_rate(const struct cap *c)
{
    return get(&c->up.rate);
}
