# server/engine: the way of a request. Knows ops, policy, audit, db and the vault's client.
