# server/vault: the vault's service, wire and stub. Knows ipc and base only; no SQL, no network.
