/* Latency histogram of fixed size; see load.h. */
#include "tests/bench/load.h"

static size_t slot_of(uint64_t ns)
{
    if (ns < HIST_STEPS)
        return (size_t)ns;
    unsigned top = 63u - (unsigned)__builtin_clzll(ns); /* at least 6 */
    return (size_t)(top - 5) * HIST_STEPS + (size_t)(ns >> (top - 6)) - HIST_STEPS;
}

static uint64_t slot_value(size_t slot)
{
    if (slot < HIST_STEPS)
        return slot;
    unsigned top = (unsigned)(slot / HIST_STEPS) + 5;
    return (uint64_t)(slot % HIST_STEPS + HIST_STEPS) << (top - 6);
}

void hist_add(struct hist *h, uint64_t ns)
{
    size_t slot = slot_of(ns);
    h->slot[slot < HIST_SIZE ? slot : HIST_SIZE - 1]++;
    h->count++;
    h->sum_ns += ns;
    if (ns > h->max_ns)
        h->max_ns = ns;
}

double hist_us(const struct hist *h, double share)
{
    uint64_t want = (uint64_t)(share * (double)h->count + 0.5), sum = 0;
    for (size_t i = 0; i < HIST_SIZE; i++) {
        sum += h->slot[i];
        if (sum && sum >= want)
            return (double)slot_value(i) / 1000.0;
    }
    return 0;
}
