/*
 * Results to KMIP Result Reasons, by version: a reason that a version does not define becomes the
 * one that its text names for the case, in the end General Failure. KMIP 1.4, 11; 2.1, 11.48.
 */
#ifndef PROTO_KMIP_REASON_H
#define PROTO_KMIP_REASON_H

#include "proto/kmip/tables.h"

/* A Result Reason that `version` defines; 0 for RC_OK. Every other version counts as 1.0. */
uint32_t kmip_reason(rc_t rc, uint16_t version);

#endif
