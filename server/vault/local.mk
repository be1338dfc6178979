# server/vault: sources and what may live here
