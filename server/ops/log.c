/*
 * Log and Interop: what a client wants to stand in the audit trail, and the marks of a conformance run there. Both
 * change nothing else. KMIP 2.1, 6.1.26 and 6.1.29.
 */
#include "server/ops/op.h"

rc_t log_perform(struct op_item *it)
{
    const struct kmip_log_request *in = it->request;
    /* Wholly or not at all: a message that the row would cut is refused. */
    if (in->log_message.len > AUDIT_DETAIL_MAX)
        return RC_INVALID_FIELD;
    it->detail = in->log_message;
    return op_respond(it) ? RC_OK : RC_NO_MEMORY;
}

rc_t interop_perform(struct op_item *it)
{
    const struct kmip_interop_request *in = it->request;
    it->detail = in->identifier;
    /* Reset would have to undo what others have done since: a test server is made anew instead. */
    if (in->function != KMIP_INTEROP_FUNCTION_BEGIN && in->function != KMIP_INTEROP_FUNCTION_END)
        return RC_FEATURE;
    return op_respond(it) ? RC_OK : RC_NO_MEMORY;
}
