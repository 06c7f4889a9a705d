/* Guard: the only place that includes libh2o's headers, and the checks without which they lie.
 *
 * Debian's libh2o-evloop.pc does not say which event loop the library was built for. With libuv's
 * headers installed, a missing H2O_USE_LIBUV=0 compiles, links and corrupts memory. */
#ifndef MTASTS_HTTP_GUARD_H
#define MTASTS_HTTP_GUARD_H

#if !defined(H2O_USE_LIBUV) || H2O_USE_LIBUV
#error "compile with -DH2O_USE_LIBUV=0: the library is libh2o-evloop"
#endif

#include <h2o.h>
#include <h2o/http1.h>

#ifdef __LP64__
_Static_assert(sizeof(h2o_context_t) == 864, "not the layout of libh2o-evloop 2.2.5");
_Static_assert(sizeof(h2o_timeout_t) == 48, "not the layout of libh2o-evloop 2.2.5");
#endif

#endif
