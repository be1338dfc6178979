# server/ops: sources and what may live here
