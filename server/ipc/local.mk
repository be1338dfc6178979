# server/ipc: sources and what may live here
