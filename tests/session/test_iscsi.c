/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves what is said to an iSCSI target to the byte, what each of its PDUs means, however it is cut into pieces, and that
 * its numbers are counted as RFC 7143 has it.
 */
#include "probe/iscsi.h"

#include <criterion/criterion.h>

/* Opcodes of targets, 11.2.1.2. */
enum {
    NOP_IN = 0x20,
    SCSI_RESPONSE = 0x21,
    LOGIN = 0x23,
    TEXT = 0x24,
    LOGOUT = 0x26,
    ASYNC = 0x32,
    REJECT = 0x3f
};
/* Second byte of a Login Response: T, C, and the stages. */
enum { T = 0x80, C = 0x40, SECURITY = 0, OPERATIONAL = 1 << 2, TO_OPERATIONAL = 1, TO_FULL = 3 };

struct pdu {
    uint8_t opcode;
    uint8_t flags;
    uint16_t status; /* of a login: class and detail */
    uint32_t task_tag;
    uint32_t transfer_tag;
    uint32_t status_sn;
    uint32_t data_bytes;
    uint8_t ahs_words;
};

static void header_of(const struct pdu *pdu, uint8_t out[static ISCSI_HEADER_SIZE])
{
    memset(out, 0, ISCSI_HEADER_SIZE);
    word_put(out + 4, (uint32_t)pdu->ahs_words << 24 | pdu->data_bytes);
    out[0] = pdu->opcode;
    out[1] = pdu->flags;
    for (unsigned i = 0; i < 8; i++)
        out[8 + i] = (uint8_t)(0xa0 + i); /* ISID or LUN */
    word_put(out + 16, pdu->task_tag);
    word_put(out + 20, pdu->transfer_tag);
    word_put(out + 24, pdu->status_sn);
    out[36] = (uint8_t)(pdu->status >> 8);
    out[37] = (uint8_t)pdu->status;
}

static struct service_reply hear(struct iscsi_initiator *initiator, const struct pdu *pdu)
{
    uint8_t header[ISCSI_HEADER_SIZE];
    struct service_reply reply;

    header_of(pdu, header);
    cr_assert_eq(iscsi_hear(initiator, header, sizeof(header), &reply), sizeof(header));
    return reply;
}

/* Logged in: the next number of the target is 12. */
static struct iscsi_initiator logged_in(void)
{
    struct iscsi_initiator initiator;
    uint8_t out[SERVICE_REQUEST_SIZE];

    iscsi_begin(&initiator, 0x0504030201);
    iscsi_ask(&initiator, out);
    hear(&initiator, &(struct pdu){LOGIN, T | SECURITY | TO_OPERATIONAL, .status_sn = 10});
    cr_assert_eq(hear(&initiator, &(struct pdu){LOGIN, T | OPERATIONAL | TO_FULL, .status_sn = 11}).answer,
                 SERVICE_ANSWERS);
    return initiator;
}

/* data: with its padding. */
static void expect_request(const uint8_t *bytes, size_t size, const uint8_t header[static ISCSI_HEADER_SIZE],
                           const char *data, size_t data_bytes)
{
    cr_assert_eq(size, ISCSI_HEADER_SIZE + data_bytes, "%zu bytes", size);
    for (size_t i = 0; i < ISCSI_HEADER_SIZE; i++)
        cr_expect_eq(bytes[i], header[i], "byte %zu of the header: %#x instead of %#x", i, bytes[i],
                     header[i]);
    cr_expect_eq(memcmp(bytes + ISCSI_HEADER_SIZE, data, data_bytes), 0);
}

Test(iscsi, requests)
{
    static const char identity[] = "InitiatorName=iqn.2026-11.invalid.reroute:service-check\0"
                                   "SessionType=Discovery\0AuthMethod=None,CHAP\0",
                      operation[] = "HeaderDigest=None\0DataDigest=None\0DefaultTime2Retain=0\0",
                      question[] = "SendTargets=iqn.2026-11.invalid.reroute:no-target\0\0";
    /* Opcode, flags; lengths; ISID; task tag; CmdSN; ExpStatSN. */
    static const uint8_t first[ISCSI_HEADER_SIZE] = {0x43, 0x81, 0, 0, 0, 0, 0, 99, 0x80, 1, 2,
                                                     3,    4,    5, 0, 0, 0, 0, 0,  1,    0, 0,
                                                     0,    0,    0, 0, 0, 1, 0, 0,  0,    0},
                         second[ISCSI_HEADER_SIZE] = {0x43, 0x87, 0, 0, 0, 0, 0, 55, 0x80, 1, 2,
                                                      3,    4,    5, 0, 0, 0, 0, 0,  1,    0, 0,
                                                      0,    0,    0, 0, 0, 1, 0, 0,  0,    11},
                         text[ISCSI_HEADER_SIZE] = {0x44, 0x80, 0, 0, 0, 0, 0, 50, 0, 0,    0,
                                                    0,    0,    0, 0, 0, 0, 0, 0,  2, 0xff, 0xff,
                                                    0xff, 0xff, 0, 0, 0, 1, 0, 0,  0, 12},
                         next[ISCSI_HEADER_SIZE] = {0x44, 0x80, 0, 0, 0, 0, 0, 50, 0, 0,    0,
                                                    0,    0,    0, 0, 0, 0, 0, 0,  3, 0xff, 0xff,
                                                    0xff, 0xff, 0, 0, 0, 1, 0, 0,  0, 13};
    struct iscsi_initiator initiator;
    struct service_reply reply;
    uint8_t out[SERVICE_REQUEST_SIZE];

    iscsi_begin(&initiator, 0x0504030201);
    expect_request(out, iscsi_ask(&initiator, out), first, identity, 100);
    reply = hear(&initiator, &(struct pdu){LOGIN, T | SECURITY | TO_OPERATIONAL, .status_sn = 10});
    cr_assert_eq(reply.answer, SERVICE_LIVES);
    expect_request(reply.say, reply.say_bytes, second, operation, 56);
    reply = hear(&initiator, &(struct pdu){LOGIN, T | OPERATIONAL | TO_FULL, .status_sn = 11});
    cr_assert_eq(reply.answer, SERVICE_ANSWERS);
    cr_expect_eq(reply.say_bytes, 0);
    expect_request(out, iscsi_ask(&initiator, out), text, question, 52);
    cr_expect_eq(hear(&initiator, &(struct pdu){TEXT, T, .task_tag = 2, .status_sn = 12}).answer,
                 SERVICE_ANSWERS);
    expect_request(out, iscsi_ask(&initiator, out), next, question, 52);
}

/* The first answer to a login, or the first PDU after it. */
Test(iscsi, answers)
{
    static const struct {
        const char *what;
        bool logged_in;
        struct pdu pdu;
        enum service_answer want;
        unsigned says; /* bytes */
    } rows[] = {
        {"to the next stage", false, {LOGIN, T | SECURITY | TO_OPERATIONAL}, SERVICE_LIVES, 48 + 56},
        {"at once to the end", false, {LOGIN, T | SECURITY | TO_FULL}, SERVICE_ANSWERS, 0},
        {"wants a password, which it says by its choice", false, {LOGIN, SECURITY}, SERVICE_ENDS, 0},
        {"has more to say", false, {LOGIN, C | SECURITY}, SERVICE_LIVES, 48},
        {"to a stage that is none", false, {LOGIN, T | SECURITY | 2}, SERVICE_LIVES, 48},
        {"moved for a while", false, {LOGIN, 0, 0x0101}, SERVICE_ENDS, 0},
        {"moved for good", false, {LOGIN, 0, 0x0102}, SERVICE_ENDS, 0},
        {"wants a password", false, {LOGIN, 0, 0x0201}, SERVICE_ENDS, 0},
        {"is not for this initiator", false, {LOGIN, 0, 0x0202}, SERVICE_ENDS, 0},
        {"has a fault", false, {LOGIN, 0, 0x0300}, SERVICE_ENDS, 0},
        {"is not available", false, {LOGIN, 0, 0x0301}, SERVICE_REFUSES, 0},
        {"has no room for one more session", false, {LOGIN, 0, 0x0302}, SERVICE_ENDS, 0},
        {"rejects the login", false, {REJECT, T}, SERVICE_ENDS, 0},
        {"answers", true, {TEXT, T, .task_tag = 2}, SERVICE_ANSWERS, 0},
        {"answers the beginning of a list",
         true,
         {TEXT, C, .task_tag = 2, .transfer_tag = 7},
         SERVICE_ANSWERS,
         0},
        {"answers the login's tag", true, {TEXT, T, .task_tag = 1}, SERVICE_LIVES, 0},
        {"answers a question that is still to come", true, {TEXT, T, .task_tag = 3}, SERVICE_LIVES, 0},
        {"answers no tag", true, {TEXT, T, .task_tag = UINT32_MAX}, SERVICE_LIVES, 0},
        {"rejects something", true, {REJECT, T}, SERVICE_ANSWERS, 0},
        {"asks itself", true, {NOP_IN, T, .task_tag = UINT32_MAX, .transfer_tag = 9}, SERVICE_LIVES, 48},
        {"tells its numbers",
         true,
         {NOP_IN, T, .task_tag = UINT32_MAX, .transfer_tag = UINT32_MAX},
         SERVICE_LIVES,
         0},
        {"wants to be left", true, {ASYNC, T}, SERVICE_LIVES, 0},
        {"says goodbye", true, {LOGOUT, T}, SERVICE_LIVES, 0},
        {"answers a login that is over", true, {LOGIN, T}, SERVICE_LIVES, 0},
        {"answers a command of somebody else", true, {SCSI_RESPONSE, T}, SERVICE_REFUSES, 0},
        {"speaks HTTP", false, {'H', 'T'}, SERVICE_REFUSES, 0},
        {"speaks TLS", false, {0x15, 0x03}, SERVICE_REFUSES, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct iscsi_initiator initiator = logged_in();
        uint8_t out[SERVICE_REQUEST_SIZE];
        struct service_reply reply;

        if (!rows[i].logged_in)
            iscsi_begin(&initiator, 1);
        iscsi_ask(&initiator, out);
        reply = hear(&initiator, &rows[i].pdu);
        cr_expect_eq(reply.answer, rows[i].want, "%s: %d", rows[i].what, reply.answer);
        cr_expect_eq(reply.say_bytes, rows[i].says, "%s: %zu bytes", rows[i].what, reply.say_bytes);
        cr_expect_eq(reply.why != NULL, rows[i].want == SERVICE_REFUSES, "%s", rows[i].what);
    }
}

/* The rejected header comes as data: what was rejected is known by its opcode and its tag, however it is cut. */
Test(iscsi, rejects)
{
    static const struct {
        const char *what;
        uint32_t data_bytes;
        uint8_t ahs_words;
        uint8_t opcode;
        uint32_t task_tag;
        enum service_answer want;
    } rows[] = {
        {"the question", 48, 0, 0x44, 2, SERVICE_ANSWERS},
        {"the question, of which no more is said", 20, 0, 0x44, 2, SERVICE_ANSWERS},
        {"the question before", 48, 0, 0x44, 1, SERVICE_LIVES},
        {"an answer to its own ping", 48, 0, 0x40, 2, SERVICE_LIVES},
        {"an answer to its own ping, by its tag", 48, 0, 0x40, UINT32_MAX, SERVICE_LIVES},
        {"less than can be known", 16, 0, 0x40, 1, SERVICE_ANSWERS},
        {"behind a header's extension", 48, 2, 0x40, 1, SERVICE_ANSWERS},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows) * 100; i++) {
        size_t row = i / 100, piece = i % 100 + 1, count = 0;
        size_t size = ISCSI_HEADER_SIZE + rows[row].ahs_words * 4 + ((rows[row].data_bytes + 3) & ~3U);
        uint8_t bytes[256] = {0}, out[SERVICE_REQUEST_SIZE];
        struct iscsi_initiator initiator = logged_in();

        iscsi_ask(&initiator, out);
        header_of(
            &(struct pdu){REJECT, T, .data_bytes = rows[row].data_bytes, .ahs_words = rows[row].ahs_words},
            bytes);
        bytes[48] = rows[row].opcode;
        word_put(bytes + 48 + 16, rows[row].task_tag);
        header_of(&(struct pdu){TEXT, T, .task_tag = 2}, bytes + size);
        for (size_t at = 0, taken; at < size + ISCSI_HEADER_SIZE; at += taken) {
            struct service_reply reply;

            taken = iscsi_hear(&initiator, bytes + at, (size_t)min_u64(piece, size + ISCSI_HEADER_SIZE - at),
                               &reply);
            if (reply.answer != SERVICE_INCOMPLETE)
                cr_expect_eq(reply.answer, count++ ? SERVICE_ANSWERS : rows[row].want,
                             "%s, in pieces of %zu: %d", rows[row].what, piece, reply.answer);
        }
        cr_expect_eq(count, 2, "%s, in pieces of %zu: %zu", rows[row].what, piece, count);
    }
}

/* A request without the wish for the next stage, and without the keys that were said, while the target goes on. */
Test(iscsi, login_of_many_pdus)
{
    struct iscsi_initiator initiator;
    struct service_reply reply;
    uint8_t out[SERVICE_REQUEST_SIZE];
    unsigned asked = 1;

    iscsi_begin(&initiator, 1);
    iscsi_ask(&initiator, out);
    reply = hear(&initiator, &(struct pdu){LOGIN, C | SECURITY, .status_sn = 4});
    cr_expect_eq(reply.say[1], SECURITY);
    cr_expect_eq(reply.say_bytes, ISCSI_HEADER_SIZE);
    hear(&initiator, &(struct pdu){LOGIN, T | SECURITY | TO_OPERATIONAL, .status_sn = 5});
    reply = hear(&initiator, &(struct pdu){LOGIN, OPERATIONAL, .status_sn = 6});
    cr_expect_eq(reply.say[1], T | OPERATIONAL | TO_FULL);
    cr_expect_eq(reply.say_bytes, ISCSI_HEADER_SIZE);
    cr_expect_eq(word_at(reply.say + 28), 7);
    for (; (reply = hear(&initiator, &(struct pdu){LOGIN, OPERATIONAL})).answer == SERVICE_LIVES; asked++)
        cr_assert_lt(asked, 100);
    cr_expect_eq(reply.answer, SERVICE_ENDS, "a target that never comes to an end has answered");
}

/* LUN and tag come back, with numbers that are not used up, theirs and ours. */
Test(iscsi, ping_of_the_target)
{
    static const uint8_t pong[ISCSI_HEADER_SIZE] = {
        0x40, 0x80, 0,    0,    0, 0, 0, 0, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 9, 0,    0,    0,    1,    0,    0,    0,    12};
    struct iscsi_initiator initiator = logged_in();
    struct service_reply reply;
    uint8_t out[SERVICE_REQUEST_SIZE];

    reply = hear(&initiator,
                 &(struct pdu){NOP_IN, T, .task_tag = UINT32_MAX, .transfer_tag = 9, .status_sn = 12});
    expect_request(reply.say, reply.say_bytes, pong, "", 0);
    iscsi_ask(&initiator, out);
    cr_expect_eq(word_at(out + 24), 1);
    cr_expect_eq(word_at(out + 28), 12);
    hear(&initiator, &(struct pdu){ASYNC, T, .task_tag = UINT32_MAX, .status_sn = 12});
    iscsi_ask(&initiator, out);
    cr_expect_eq(word_at(out + 28), 13, "a message of the target's own has a number");
}

Test(iscsi, numbers_begin_anew)
{
    struct iscsi_initiator initiator = logged_in();
    uint8_t out[SERVICE_REQUEST_SIZE];

    initiator.task_tag = UINT32_MAX - 1;
    iscsi_ask(&initiator, out);
    cr_expect_eq(word_at(out + 16), 1, "not the tag that means none");
    hear(&initiator, &(struct pdu){TEXT, T, .status_sn = UINT32_MAX});
    iscsi_ask(&initiator, out);
    cr_expect_eq(word_at(out + 28), 0);
}

/* Headers, a header's extension, data and padding, in pieces of each size. */
Test(iscsi, pieces)
{
    enum { DATA = 300, AHS_WORDS = 3, PAD = 1, LONG = ISCSI_HEADER_SIZE + AHS_WORDS * 4 + DATA + PAD - 1 };
    uint8_t bytes[2 * ISCSI_HEADER_SIZE + LONG];

    memset(bytes, 0xee, sizeof(bytes));
    header_of(&(struct pdu){TEXT, T, .task_tag = 1, .data_bytes = DATA - 1, .ahs_words = AHS_WORDS}, bytes);
    header_of(&(struct pdu){NOP_IN, T, .task_tag = UINT32_MAX, .transfer_tag = 9}, bytes + LONG);
    header_of(&(struct pdu){TEXT, T, .task_tag = 1}, bytes + LONG + ISCSI_HEADER_SIZE);
    for (size_t piece = 1; piece <= sizeof(bytes); piece++) {
        struct iscsi_initiator initiator = logged_in();
        enum service_answer heard[3];
        unsigned count = 0;

        for (size_t at = 0, taken; at < sizeof(bytes); at += taken) {
            struct service_reply reply;
            size_t size = (size_t)min_u64(piece, sizeof(bytes) - at);

            taken = iscsi_hear(&initiator, bytes + at, size, &reply);
            cr_assert(taken >= 1 && taken <= size, "%zu of %zu", taken, size);
            cr_assert(reply.answer == SERVICE_INCOMPLETE || count < ARRAY_SIZE(heard));
            if (reply.answer != SERVICE_INCOMPLETE)
                heard[count++] = reply.answer;
        }
        cr_assert_eq(count, 3, "in pieces of %zu: %u", piece, count);
        cr_expect(heard[0] == SERVICE_ANSWERS && heard[1] == SERVICE_LIVES && heard[2] == SERVICE_ANSWERS);
    }
}

/* The same bytes again and again, until they are refused: how many those were. */
static size_t said_in_all(struct iscsi_initiator *initiator, const uint8_t *bytes, size_t size)
{
    struct service_reply reply = {0};
    size_t said = 0;

    for (; reply.answer != SERVICE_REFUSES && said <= 2 * ISCSI_ANSWER_MAX; said += size)
        cr_assert_eq(iscsi_hear(initiator, bytes, size, &reply), size);
    return said;
}

/* One PDU after the other, or one that is far too long. */
Test(iscsi, answer_without_end)
{
    static uint8_t body[1 << 16];
    struct iscsi_initiator initiator = logged_in();
    uint8_t ping[ISCSI_HEADER_SIZE], out[SERVICE_REQUEST_SIZE];
    size_t said;

    header_of(&(struct pdu){NOP_IN, T, .task_tag = UINT32_MAX, .transfer_tag = UINT32_MAX}, ping);
    iscsi_ask(&initiator, out);
    said = said_in_all(&initiator, ping, sizeof(ping));
    cr_expect(said > ISCSI_ANSWER_MAX && said <= ISCSI_ANSWER_MAX + sizeof(ping), "%zu", said);
    iscsi_ask(&initiator, out);
    cr_expect_eq(hear(&initiator, &(struct pdu){TEXT, T, .task_tag = 3, .data_bytes = 0xffffff}).answer,
                 SERVICE_ANSWERS, "each question has its own measure");
    said = said_in_all(&initiator, body, sizeof(body));
    cr_expect_eq(said, ISCSI_ANSWER_MAX, "%zu", said);
}

/* What is no target is known by its first byte: it need not say more. */
Test(iscsi, first_byte)
{
    struct iscsi_initiator initiator;
    struct service_reply reply;

    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t first = (uint8_t)byte;
        bool known = byte == NOP_IN || byte == LOGIN || byte == TEXT || byte == LOGOUT || byte == ASYNC ||
                     byte == REJECT;

        iscsi_begin(&initiator, 1);
        cr_assert_eq(iscsi_hear(&initiator, &first, 1, &reply), 1);
        cr_expect_eq(reply.answer, known ? SERVICE_INCOMPLETE : SERVICE_REFUSES, "%#x", byte);
    }
    cr_expect_eq(iscsi_hear(&initiator, NULL, 0, &reply), 0);
}
