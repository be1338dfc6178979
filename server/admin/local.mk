# server/admin: sources and what may live here
