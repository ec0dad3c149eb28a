/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a service check asks, and what is an answer. Pure: bytes in, a verdict out.
 *
 * - tcp: nothing is asked; that the port accepts is the answer.
 * - nfs3: the NULL procedure of NFS version 3 (RFC 1813 section 3.3.0) by RPC over TCP (RFC 5531, record marking in
 *   section 11). A server that has this version not, or wants credentials, says so: that is an answer too.
 * - http: GET of a path, HTTP/1.0 (RFC 1945). A status from 200 to 399 is an answer.
 * - iscsi: a discovery session, see iscsi.h.
 */
#pragma once

#include "probe/iscsi.h"

#define SERVICE_PATH_SIZE 64
/* What is kept of an answer. An answer to NULL that is longer is none. */
#define SERVICE_ANSWER_SIZE 512

struct service_protocol {
    enum service_protocol_kind { SERVICE_TCP, SERVICE_NFS3, SERVICE_HTTP, SERVICE_ISCSI } kind;
    uint16_t port;
    char path[SERVICE_PATH_SIZE]; /* of http: "/healthz" */
};

/* Parses "tcp:PORT", "nfs3:PORT", "iscsi:PORT", "http:PORT/PATH". 0, or -EINVAL. */
int service_protocol_parse(const char *text, struct service_protocol *protocol);

/* Of tcp, nfs3 and http: writes the request; returns its bytes, 0: nothing is asked. xid: a number by which its answer
 * is known. */
size_t service_request(const struct service_protocol *protocol, const struct address *address, uint32_t xid,
                       uint8_t out[static SERVICE_REQUEST_SIZE]);

/* -EAGAIN: the answer is not complete; 0: it serves; -EPROTO: it does not, why says how it answered (static). */
int service_answer_parse(const struct service_protocol *protocol, uint32_t xid, const uint8_t *bytes,
                         size_t size, const char **why);

/* What is said over one connection after the other. All zero at first. */
struct service_dialogue {
    uint32_t xid;
    uint8_t answer[SERVICE_ANSWER_SIZE];
    size_t answer_bytes;
    struct iscsi_initiator iscsi;
};

/* A new connection. isid: as for iscsi_begin(). */
void service_dialogue_begin(struct service_dialogue *dialogue, uint64_t isid);

/* Writes the next question; returns its bytes, 0: nothing is asked. */
size_t service_dialogue_ask(struct service_dialogue *dialogue, const struct service_protocol *protocol,
                            const struct address *address, uint8_t out[static SERVICE_REQUEST_SIZE]);

/* Takes what has come, as far as it means one thing; returns the bytes taken: 1 or more when there are any. */
size_t service_dialogue_hear(struct service_dialogue *dialogue, const struct service_protocol *protocol,
                             const uint8_t *bytes, size_t size, struct service_reply *reply);
