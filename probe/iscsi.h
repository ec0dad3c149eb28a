/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The initiator's half of a connection by which an iSCSI target is asked whether it lives (RFC 7143). Pure: bytes in,
 * bytes out.
 *
 * It is a discovery session (section 4.3): it names no target and comes near no disk. Two Login Requests open it (6.3,
 * 11.12): no authentication, then no digests. From then on each question is a Text Request (11.10) for the addresses of
 * a target that nobody has (SendTargets, appendix C). It is an immediate one, which is allowed while the target lets
 * no commands come (MaxCmdSN, 4.2.2.1). A target must answer that in a discovery session, nothing changes
 * by it, and the answer is empty. A NOP-Out as a ping must be rejected there (4.3), and tgt ends the session then.
 *
 * - The answer is a Text Response with the question's task tag, or its Reject.
 * - Whatever the target says is a sign of life, also that it wants a password, refuses the login or sends the initiator
 *   elsewhere. CHAP is offered, though there is no password, since LIO closes the connection without a word when it has
 *   no choice. But one that calls its service not available (Login Response, status 0301, 11.13.5)
 *   is taken at its word.
 * - The target's own ping, a NOP-In (11.19), is answered.
 * - What follows a header is passed over. But a target that says more than ISCSI_ANSWER_MAX to one question is none.
 *
 * The name of the initiator is nobody else's, and the ISID of each user of this unit is another one: a target ends the
 * older one of two sessions that have both in common (6.3.5).
 */
#pragma once

#include "probe/service_reply.h"

#define ISCSI_ISID_SIZE     6
#define ISCSI_HEADER_SIZE   48 /* the basic header segment of every PDU, 11.2.1 */
#define ISCSI_REJECTED_SIZE 20 /* of a rejected header: to the end of its task tag */
#define ISCSI_ANSWER_MAX    (1U << 20)

struct iscsi_initiator {
    uint8_t isid[ISCSI_ISID_SIZE];
    enum iscsi_stage {
        ISCSI_SECURITY = 0,
        ISCSI_OPERATIONAL = 1,
        ISCSI_FULL_FEATURE = 3
    } stage; /* 11.12.3 */
    unsigned login_requests;
    bool keys_told; /* those of this stage */
    bool continues; /* the target's last Login Response goes on in another one (its C bit) */
    uint32_t task_tag;
    uint32_t expected_status_sn; /* all before it have come */
    uint8_t header[ISCSI_HEADER_SIZE + ISCSI_REJECTED_SIZE];
    size_t header_bytes; /* so many have come */
    size_t body_bytes;   /* so many are still to be passed over */
    size_t said_bytes;   /* since the last question */
};

/* A new connection. isid: 40 bits for the ISID; the same for all connections of one user, so that its sessions replace
 * each other. */
void iscsi_begin(struct iscsi_initiator *initiator, uint64_t isid);

/* Writes what is to be asked next; returns its bytes. */
size_t iscsi_ask(struct iscsi_initiator *initiator, uint8_t out[static SERVICE_REQUEST_SIZE]);

/* Takes what has come, up to the end of one header at most; returns the bytes taken: 1 or more when there are any.
 * After SERVICE_ENDS and SERVICE_REFUSES the connection is of no use. */
size_t iscsi_hear(struct iscsi_initiator *initiator, const uint8_t *bytes, size_t size,
                  struct service_reply *reply);
