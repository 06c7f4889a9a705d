/* The tenants of the measurements, by number: their names, and which policy each has. By default it
 * is one of its own, which no other tenant has; or the tenants share a few (POLICIES). */
#ifndef TESTS_BENCH_TENANT_H
#define TESTS_BENCH_TENANT_H

#include <stdio.h>

#define HOST_SIZE      40      /* with its NUL */
#define POLICIES       97      /* a prime, so that neighbours and tenth ones differ */
#define OWN_MAX_AGE    1209600 /* two weeks: the least that brings no warning, but a note */
#define SHARED_MAX_AGE 2419200

static inline void tenant_host(unsigned tenant, char out[HOST_SIZE])
{
    snprintf(out, HOST_SIZE, "mta-sts.t%07u.example", tenant);
}

#endif
