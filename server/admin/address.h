/* The address of a socket below a directory that is open: a path would be limited to 107 bytes. */
#ifndef MTASTS_ADMIN_ADDRESS_H
#define MTASTS_ADMIN_ADDRESS_H

#include <sys/socket.h>
#include <sys/un.h>

struct admin_address {
    int directory;    /* to be closed; for as long as the address is used */
    const char *name; /* in it, borrowed from the path */
    struct sockaddr_un address;
};

/* -1 with errno. */
int admin_address_open(struct admin_address *a, const char *path);

#endif
