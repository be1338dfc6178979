# certs: sources and what may live here
