/*
 * Decimal digits without printf(), which costs more than what most numbers of a message are worth.
 */
#ifndef PROTO_BASE_DECIMAL_H
#define PROTO_BASE_DECIMAL_H

#include <stdint.h>

enum { DECIMAL_MAX = 20 }; /* digits of a number of 64 bits */

/* Writes the digits of v so that they end before `end`; returns the first. At most DECIMAL_MAX bytes. */
static inline char *decimal_before(char *end, uint64_t v)
{
    do
        *--end = (char)('0' + v % 10);
    while (v /= 10);
    return end;
}

#endif
