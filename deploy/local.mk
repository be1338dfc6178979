# deploy: sources and what may live here
