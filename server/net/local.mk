# server/net: sources and what may live here
