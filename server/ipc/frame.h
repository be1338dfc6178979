/*
 * Frames on a stream socketpair between the house's own processes:
 *     u32 length of payload | u16 code | u16 rc or zero | u64 call id | payload       (big-endian)
 * The reader is incremental and asks its owner about code and length before it takes memory; the
 * writer gathers all frames of a loop turn into one write. Both wipe what they leave behind, since
 * frames between worker and vault carry key bytes. Passing descriptors is control.h's business.
 */
#ifndef SERVER_IPC_FRAME_H
#define SERVER_IPC_FRAME_H

#include "proto/base/buf.h"
#include "proto/base/bytes.h"
#include "proto/base/rc.h"

enum { FRAME_HEADER_BYTES = 16 };

/* One received frame. The payload is a view into the reader, good until the next frame_read(). */
struct frame {
    uint16_t code;
    uint16_t rc;
    uint64_t id;
    struct bytes payload;
};

/* May a frame with this code have a payload of len bytes? Asked once a frame, before memory is
 * taken. */
typedef bool frame_fits_fn(uint16_t code, uint32_t len, void *arg);

struct frame_reader {
    struct buf in;
    size_t next; /* where the next frame begins in `in` */
    size_t want; /* bytes that the frame under way needs in all; 0: header not yet read */
    frame_fits_fn *fits;
    void *arg;
};

void frame_reader_init(struct frame_reader *r, frame_fits_fn *fits, void *arg);
/* Wipes and frees. The reader may be used again after frame_reader_init(). */
void frame_reader_free(struct frame_reader *r);
/*
 * Reads once from a non-blocking socket. *got tells the bytes read: 0 with RC_OK means that nothing
 * is there now. RC_IO: the peer closed or the socket failed. RC_NO_MEMORY: as it says. Frames taken
 * by frame_next() before are wiped and their views are gone.
 */
rc_t frame_read(struct frame_reader *r, int fd, size_t *got);
/* The next whole frame; *have = false when there is none yet. RC_PROTOCOL: `fits` refused; drop the
 * peer. */
rc_t frame_next(struct frame_reader *r, struct frame *out, bool *have);
/* Wipes what was consumed; call it after the last frame of a turn, so that no secret waits for the
 * next read. */
void frame_reader_settle(struct frame_reader *r);

struct frame_writer {
    struct buf out;
    size_t sent; /* bytes of `out` that the socket has taken */
};

void frame_writer_free(struct frame_writer *w);
/* Appends one whole frame. RC_NO_MEMORY leaves the writer as it was. */
rc_t frame_add(struct frame_writer *w, uint16_t code, rc_t rc, uint64_t id, struct bytes payload);
/*
 * The same in place: frame_open() writes the header and makes room for `room` bytes of payload;
 * append them to w->out with buf_add*(), then frame_close() fills in length and rc. frame_undo()
 * drops the open frame instead. `mark` is what frame_open() returned.
 */
rc_t frame_open(struct frame_writer *w, uint16_t code, uint64_t id, size_t room, size_t *mark);
void frame_close(struct frame_writer *w, size_t mark, rc_t rc);
void frame_undo(struct frame_writer *w, size_t mark);
/* Bytes not yet taken by the socket. */
size_t frame_waiting(const struct frame_writer *w);
/* One write of all that waits. RC_OK: all of it is out and wiped. RC_BUSY: the socket is full, wait
 * for it to become writable. RC_IO: the peer is gone. Never raises SIGPIPE. */
rc_t frame_flush(struct frame_writer *w, int fd);

#endif
