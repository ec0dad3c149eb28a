/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/iscsi.h"

/* RFC 7143 section 11.2.1.2 */
enum {
    NOP_OUT = 0x00,
    LOGIN_REQUEST = 0x03,
    TEXT_REQUEST = 0x04,
    NOP_IN = 0x20,
    LOGIN_RESPONSE = 0x23,
    TEXT_RESPONSE = 0x24,
    LOGOUT_RESPONSE = 0x26,
    ASYNC_MESSAGE = 0x32,
    REJECT = 0x3f,
    IMMEDIATE = 0x40, /* beside the opcode of a request */
};
/* Of the second byte: the last PDU of a request, or the wish for the next stage; text goes on in the next PDU. */
#define FINAL     0x80
#define CONTINUES 0x40
/* Where in a header. */
enum {
    AHS_WORDS = 4,
    DATA_LENGTH = 5, /* three bytes */
    LUN = 8,         /* eight bytes; of a login the ISID is here */
    TASK_TAG = 16,
    TRANSFER_TAG = 20,
    COMMAND_SN = 24, /* of a request */
    STATUS_SN = 24,  /* of a response */
    EXPECTED_STATUS_SN = 28,
    LOGIN_STATUS = 36, /* class, detail */
};
/* Of the next command that is not immediate: there is none (4.2.2.1). */
#define COMMANDS_BEGIN      1
#define NO_TAG              UINT32_C(0xffffffff)
#define SERVICE_UNAVAILABLE 0x0301
/* Two are the rule; a target that goes on asking for more is left with its answer. */
#define LOGIN_REQUESTS_MAX 8
/* 11.12.5: the format "random", of which 24 bits of B and C, and the qualifier D, are free. */
#define ISID_RANDOM 0x80

/* "invalid" is a domain that nobody can have (RFC 2606 section 2), so no initiator and no target has these names. */
static const char identity[] = "InitiatorName=iqn.2026-11.invalid.reroute:service-check\0"
                               "SessionType=Discovery\0"
                               "AuthMethod=None,CHAP";
static const char operation[] = "HeaderDigest=None\0"
                                "DataDigest=None\0"
                                "DefaultTime2Retain=0";
static const char question[] = "SendTargets=iqn.2026-11.invalid.reroute:no-target";

static size_t padded(size_t bytes)
{
    return (bytes + 3) & ~(size_t)3;
}

void iscsi_begin(struct iscsi_initiator *initiator, uint64_t isid)
{
    *initiator = (struct iscsi_initiator){.isid = {ISID_RANDOM}, .task_tag = 1};
    for (unsigned i = 1; i < ISCSI_ISID_SIZE; i++, isid >>= 8)
        initiator->isid[i] = (uint8_t)isid;
}

/* keys: with all of their ends. */
static size_t request(const struct iscsi_initiator *initiator, uint8_t opcode, uint8_t flags,
                      const char *keys, size_t keys_bytes, uint8_t *out)
{
    size_t size = ISCSI_HEADER_SIZE + padded(keys_bytes);

    memset(out, 0, size);
    out[0] = opcode;
    out[1] = flags;
    out[DATA_LENGTH + 2] = (uint8_t)keys_bytes; /* short ones only */
    word_put(out + TASK_TAG, initiator->task_tag);
    word_put(out + COMMAND_SN, COMMANDS_BEGIN);
    word_put(out + EXPECTED_STATUS_SN, initiator->expected_status_sn);
    memcpy(out + ISCSI_HEADER_SIZE, keys, keys_bytes);
    return size;
}

/* All of a login have the same task tag (11.12). */
static size_t login_request(struct iscsi_initiator *initiator, uint8_t *out)
{
    bool secures = initiator->stage == ISCSI_SECURITY;
    uint8_t stage = (uint8_t)(initiator->stage << 2), next = secures ? ISCSI_OPERATIONAL : ISCSI_FULL_FEATURE,
            flags = initiator->continues ? stage : (uint8_t)(FINAL | stage | next);
    const char *keys = secures ? identity : operation;
    size_t keys_bytes = secures ? sizeof(identity) : sizeof(operation),
           size = request(initiator, LOGIN_REQUEST | IMMEDIATE, flags, keys,
                          initiator->keys_told ? 0 : keys_bytes, out);

    memcpy(out + LUN, initiator->isid, ISCSI_ISID_SIZE);
    initiator->keys_told = true;
    initiator->login_requests++;
    return size;
}

static size_t text_request(struct iscsi_initiator *initiator, uint8_t *out)
{
    size_t size;

    if (++initiator->task_tag == NO_TAG)
        initiator->task_tag = 1;
    size = request(initiator, TEXT_REQUEST | IMMEDIATE, FINAL, question, sizeof(question), out);
    word_put(out + TRANSFER_TAG, NO_TAG);
    return size;
}

size_t iscsi_ask(struct iscsi_initiator *initiator, uint8_t out[static SERVICE_REQUEST_SIZE])
{
    initiator->said_bytes = 0;
    return initiator->stage == ISCSI_FULL_FEATURE ? text_request(initiator, out)
                                                  : login_request(initiator, out);
}

static void refuse(struct service_reply *reply, const char *why)
{
    reply->answer = SERVICE_REFUSES;
    reply->why = why;
}

/* It goes on in this stage, or in the next one. */
static void go_on(struct iscsi_initiator *initiator, struct service_reply *reply)
{
    const uint8_t *header = initiator->header;
    enum iscsi_stage next = header[1] & 3;

    if (header[1] & FINAL && (next == ISCSI_OPERATIONAL || next == ISCSI_FULL_FEATURE) &&
        next > initiator->stage) {
        initiator->stage = next;
        initiator->keys_told = false;
    }
    initiator->continues = header[1] & CONTINUES;
    if (initiator->stage == ISCSI_FULL_FEATURE) {
        reply->answer = SERVICE_ANSWERS;
        return;
    }
    reply->answer = SERVICE_LIVES;
    reply->say_bytes = login_request(initiator, reply->say);
}

/* A target that has said all and stays in the first stage wants a password. */
static void hear_login(struct iscsi_initiator *initiator, struct service_reply *reply)
{
    const uint8_t *header = initiator->header;
    unsigned status = (unsigned)header[LOGIN_STATUS] << 8 | header[LOGIN_STATUS + 1];
    bool wants_password = initiator->stage == ISCSI_SECURITY && !(header[1] & (FINAL | CONTINUES));

    if (status == SERVICE_UNAVAILABLE)
        refuse(reply, "the target says that its service is not available (login status 0301)");
    else if (status != 0 || wants_password || initiator->login_requests == LOGIN_REQUESTS_MAX)
        reply->answer = SERVICE_ENDS;
    else
        go_on(initiator, reply);
}

/* The target asks whether we live: its tags and its LUN come back (11.18). */
static void hear_ping(const struct iscsi_initiator *initiator, struct service_reply *reply)
{
    reply->answer = SERVICE_LIVES;
    if (word_at(initiator->header + TRANSFER_TAG) == NO_TAG)
        return;
    reply->say_bytes = request(initiator, NOP_OUT | IMMEDIATE, FINAL, "", 0, reply->say);
    memcpy(reply->say + LUN, initiator->header + LUN, TASK_TAG - LUN);
    word_put(reply->say + TASK_TAG, NO_TAG);
    memcpy(reply->say + TRANSFER_TAG, initiator->header + TRANSFER_TAG, sizeof(uint32_t));
}

/* A NOP-In of the target's own does not use its number up (11.19.2). */
static void note_status_sn(struct iscsi_initiator *initiator)
{
    const uint8_t *header = initiator->header;
    bool is_used = header[0] != NOP_IN || word_at(header + TASK_TAG) != NO_TAG;

    initiator->expected_status_sn = word_at(header + STATUS_SN) + (is_used ? 1 : 0);
}

static size_t body_of(const uint8_t *header)
{
    size_t data =
        (size_t)header[DATA_LENGTH] << 16 | (size_t)header[DATA_LENGTH + 1] << 8 | header[DATA_LENGTH + 2];

    return (size_t)header[AHS_WORDS] * 4 + padded(data);
}

/* A Reject has the rejected header as its data (11.17). One that has none is taken for that of the question. */
static bool says_what_it_rejects(const struct iscsi_initiator *initiator)
{
    const uint8_t *header = initiator->header;

    return header[0] == REJECT && header[AHS_WORDS] == 0 && body_of(header) >= ISCSI_REJECTED_SIZE;
}

/* Is this Text Response or Reject about the question that was asked last? */
static bool is_of_question(const struct iscsi_initiator *initiator)
{
    const uint8_t *rejected = initiator->header + ISCSI_HEADER_SIZE;

    if (initiator->header[0] == TEXT_RESPONSE)
        return word_at(initiator->header + TASK_TAG) == initiator->task_tag;
    return !says_what_it_rejects(initiator) ||
           (rejected[0] == (TEXT_REQUEST | IMMEDIATE) && word_at(rejected + TASK_TAG) == initiator->task_tag);
}

static void hear_header(struct iscsi_initiator *initiator, struct service_reply *reply)
{
    bool logged_in = initiator->stage == ISCSI_FULL_FEATURE;

    note_status_sn(initiator);
    switch (initiator->header[0]) {
    case LOGIN_RESPONSE:
        if (logged_in)
            reply->answer = SERVICE_LIVES;
        else
            hear_login(initiator, reply);
        return;
    case TEXT_RESPONSE:
    case REJECT:
        if (!logged_in)
            reply->answer = SERVICE_ENDS;
        else
            reply->answer = is_of_question(initiator) ? SERVICE_ANSWERS : SERVICE_LIVES;
        return;
    case NOP_IN:
        hear_ping(initiator, reply);
        return;
    default:
        reply->answer = SERVICE_LIVES;
        return;
    }
}

/* Those that a target has a use for here. */
static bool is_known(uint8_t opcode)
{
    return opcode == LOGIN_RESPONSE || opcode == TEXT_RESPONSE || opcode == NOP_IN || opcode == REJECT ||
           opcode == ASYNC_MESSAGE || opcode == LOGOUT_RESPONSE;
}

static size_t pass_over(struct iscsi_initiator *initiator, size_t size)
{
    size_t taken = (size_t)min_u64(size, initiator->body_bytes);

    initiator->body_bytes -= taken;
    return taken;
}

/* With as much of a rejected header as is looked at; known once the header itself has come. */
static size_t header_size(const struct iscsi_initiator *initiator)
{
    bool longer = initiator->header_bytes >= ISCSI_HEADER_SIZE && says_what_it_rejects(initiator);

    return ISCSI_HEADER_SIZE + (longer ? ISCSI_REJECTED_SIZE : 0);
}

static size_t take_header(struct iscsi_initiator *initiator, const uint8_t *bytes, size_t size,
                          struct service_reply *reply)
{
    size_t taken = (size_t)min_u64(size, header_size(initiator) - initiator->header_bytes);

    memcpy(initiator->header + initiator->header_bytes, bytes, taken);
    initiator->header_bytes += taken;
    if (!is_known(initiator->header[0])) {
        refuse(reply, "no iSCSI response");
    } else if (initiator->header_bytes == header_size(initiator)) {
        initiator->body_bytes = body_of(initiator->header) - (initiator->header_bytes - ISCSI_HEADER_SIZE);
        initiator->header_bytes = 0;
        hear_header(initiator, reply);
    }
    return taken;
}

size_t iscsi_hear(struct iscsi_initiator *initiator, const uint8_t *bytes, size_t size,
                  struct service_reply *reply)
{
    size_t taken;

    *reply = (struct service_reply){.answer = SERVICE_INCOMPLETE};
    if (size == 0)
        return 0;
    taken = initiator->body_bytes ? pass_over(initiator, size) : take_header(initiator, bytes, size, reply);
    initiator->said_bytes += taken;
    if (initiator->said_bytes > ISCSI_ANSWER_MAX)
        refuse(reply, "an iSCSI response without end");
    return taken;
}
