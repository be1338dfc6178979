# server/audit: sources and what may live here
