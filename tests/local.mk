# tests: sources and what may live here
