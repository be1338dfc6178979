# db: sources and what may live here
