/* A worker's numbers on the control channel; see stats.h. */
#include "server/process/stats.h"

void stats_encode(const struct stats *s, uint8_t out[static STATS_BYTES])
{
#define STATS_OUT(name, kind, text)                                                                \
    store_be64(out, s->name);                                                                      \
    out += 8;
    STATS_TABLE(STATS_OUT)
#undef STATS_OUT
}

rc_t stats_decode(struct bytes in, struct stats *out)
{
    const uint8_t *at = in.data;

    if (in.len != STATS_BYTES)
        return RC_PROTOCOL;
#define STATS_IN(name, kind, text)                                                                 \
    out->name = load_be64(at);                                                                     \
    at += 8;
    STATS_TABLE(STATS_IN)
#undef STATS_IN
    return RC_OK;
}

void stats_total(struct stats *total, const struct stats *s, bool counts, bool gauges)
{
    enum { COUNT = 1, GAUGE = 2 };

#define STATS_ADD(name, kind, text)                                                                \
    if ((kind == COUNT && counts) || (kind == GAUGE && gauges))                                    \
        total->name += s->name;
    STATS_TABLE(STATS_ADD)
#undef STATS_ADD
}
