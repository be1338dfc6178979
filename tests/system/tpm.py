"""A few TPM commands, spoken to a software TPM's socket while nobody else is connected."""
import socket
import struct


def command(path, data):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(path)
        s.sendall(data)
        head = s.recv(10)
        return struct.unpack(">I", head[6:10])[0]


def extend(path, pcr, digest):
    """TPM2_PCR_Extend of the SHA-256 bank (TPM 2.0 Library, part 3, 22.2), with an empty password."""
    session = struct.pack(">IHBH", 0x40000009, 0, 0, 0)
    body = struct.pack(">I", pcr) + struct.pack(">I", len(session)) + session + struct.pack(">IH", 1, 0x000B) + digest
    return command(path, struct.pack(">HII", 0x8002, 10 + len(body), 0x182) + body)


def change_owner_auth(path, old, new):
    """TPM2_HierarchyChangeAuth of the owner (TPM 2.0 Library, part 3, 24.8), with the old one as a password."""
    session = struct.pack(">IHBH", 0x40000009, 0, 0, len(old)) + old
    body = struct.pack(">I", 0x40000001) + struct.pack(">I", len(session)) + session + struct.pack(">H", len(new)) + new
    return command(path, struct.pack(">HII", 0x8002, 10 + len(body), 0x129) + body)
