/* What the server and the client side of the test rig share. */
#ifndef TESTS_UNIT_NET_RIG_INT_H
#define TESTS_UNIT_NET_RIG_INT_H

#include "tests/unit/net/rig.h"

struct rig_pki {
    EVP_PKEY *ca_key, *other_key, *server_key, *keys[CERT_COUNT];
    X509 *ca, *other, *server, *certs[CERT_COUNT];
    uint16_t first_port, port; /* of the two listening sockets; clients use `port` */
};
extern struct rig_pki rig_pki;

#endif
