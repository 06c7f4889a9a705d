/* The tenants of the measurements, by number: their names, and which policy each has. */
#ifndef TESTS_BENCH_TENANT_H
#define TESTS_BENCH_TENANT_H

#include <stdio.h>

#define HOST_SIZE     40 /* with its NUL */
#define POLICIES      97 /* a prime, so that neighbours and tenth ones differ */
#define MAX_AGE_FIRST 2419200

static inline void tenant_host(unsigned tenant, char out[HOST_SIZE])
{
    snprintf(out, HOST_SIZE, "mta-sts.t%07u.example", tenant);
}

#endif
