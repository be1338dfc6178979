# server/engine: sources and what may live here
