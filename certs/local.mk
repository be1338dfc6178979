# certs: the private certificate authority, identities and chains of certificates. OpenSSL and files
# only: no event loop, no database, no socket. Nothing here runs on the way of a request but
# facts.c, identity.c and trust.c, which wait for nobody.
noinst_LIBRARIES += certs/libcerts.a
certs_libcerts_a_SOURCES = \
	certs/ca.c certs/ca.h certs/ca_crl.c certs/ca_int.h certs/ca_issue.c \
	certs/facts.c certs/facts.h \
	certs/identity.c certs/identity.h \
	certs/pem.c certs/pem.h \
	certs/trust.c certs/trust.h
