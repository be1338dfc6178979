# server/policy: sources and what may live here
