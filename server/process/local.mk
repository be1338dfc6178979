# server/process: sources and what may live here
