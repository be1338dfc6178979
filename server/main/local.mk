# server/main: sources and what may live here
