/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/service_protocol.h"

#include <ctype.h>

/* RFC 5531 section 9 (messages) and 8.1 (AUTH_NONE), RFC 1813 section 3 (program and version). */
enum {
    RPC_CALL,
    RPC_REPLY,
    RPC_VERSION = 2,
    RPC_ACCEPTED = 0,
    RPC_DENIED = 1,
    RPC_PROG_UNAVAIL = 1,
    RPC_SYSTEM_ERR = 5,
    NFS_PROGRAM = 100003,
    NFS_VERSION = 3,
};
#define RPC_LAST_FRAGMENT UINT32_C(0x80000000)
#define RPC_RECORD_MARK   4
#define RPC_WORD          4
/* xid, message type, reply status: every reply has these. */
#define RPC_REPLY_MIN (3 * RPC_WORD)

static int parse_port(const char *digits, char end, uint16_t *port)
{
    size_t length = strspn(digits, "0123456789");
    unsigned long value = length && length <= 5 ? strtoul(digits, NULL, 10) : 0;

    if (value == 0 || value > UINT16_MAX || digits[length] != end)
        return -EINVAL;
    *port = (uint16_t)value;
    return 0;
}

/* What a request line can carry as it is. */
static int parse_path(const char *text, char *path)
{
    size_t length = strlen(text);

    if (length >= SERVICE_PATH_SIZE)
        return -EINVAL;
    for (size_t i = 0; i < length; i++)
        if (!isgraph((unsigned char)text[i]) || text[i] == '#')
            return -EINVAL;
    memcpy(path, text, length + 1);
    return 0;
}

int service_protocol_parse(const char *text, struct service_protocol *protocol)
{
    *protocol = (struct service_protocol){0};
    if (strncmp(text, "tcp:", 4) == 0)
        return parse_port(text + 4, '\0', &protocol->port);
    if (strncmp(text, "nfs3:", 5) == 0) {
        protocol->kind = SERVICE_NFS3;
        return parse_port(text + 5, '\0', &protocol->port);
    }
    if (strncmp(text, "iscsi:", 6) == 0) {
        protocol->kind = SERVICE_ISCSI;
        return parse_port(text + 6, '\0', &protocol->port);
    }
    if (strncmp(text, "http:", 5) == 0) {
        protocol->kind = SERVICE_HTTP;
        if (parse_port(text + 5, '/', &protocol->port) < 0)
            return -EINVAL;
        return parse_path(strchr(text, '/'), protocol->path);
    }
    return -EINVAL;
}

/* A call with neither arguments nor credentials. */
static size_t null_call(uint32_t xid, uint8_t *out)
{
    const uint32_t words[] = {RPC_LAST_FRAGMENT | (10 * RPC_WORD),
                              xid,
                              RPC_CALL,
                              RPC_VERSION,
                              NFS_PROGRAM,
                              NFS_VERSION,
                              0 /* NULL */,
                              0,
                              0 /* credentials: AUTH_NONE, empty */,
                              0,
                              0 /* verifier */};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        word_put(out + i * RPC_WORD, words[i]);
    return sizeof(words);
}

size_t service_request(const struct service_protocol *protocol, const struct address *address, uint32_t xid,
                       uint8_t out[static SERVICE_REQUEST_SIZE])
{
    struct address bare = *address;
    bool ipv6 = address->family == AF_INET6;

    switch (protocol->kind) {
    case SERVICE_NFS3:
        return null_call(xid, out);
    case SERVICE_HTTP:
        bare.zone[0] = '\0'; /* means something to this host only */
        bare.scope = 0;
        return (size_t)snprintf((char *)out, SERVICE_REQUEST_SIZE,
                                "GET %s HTTP/1.0\r\nHost: %s%s%s:%u\r\n\r\n", protocol->path, ipv6 ? "[" : "",
                                ADDRESS_TEXT(&bare), ipv6 ? "]" : "", protocol->port);
    case SERVICE_TCP:
    case SERVICE_ISCSI:
        break;
    }
    return 0;
}

/* An accepted reply: verifier (flavour, length, body), then the status. */
static int parse_accepted(const uint8_t *reply, size_t size, const char **why)
{
    size_t status = RPC_REPLY_MIN + 2 * RPC_WORD;
    uint32_t verifier;

    *why = "a broken RPC reply";
    if (size < status)
        return -EPROTO;
    verifier = word_at(reply + RPC_REPLY_MIN + RPC_WORD);
    if (verifier > size || status + ((verifier + 3) & ~3U) + RPC_WORD > size)
        return -EPROTO;
    switch (word_at(reply + status + ((verifier + 3) & ~3U))) {
    case RPC_PROG_UNAVAIL:
        *why = "NFS is not served at this port";
        return -EPROTO;
    case RPC_SYSTEM_ERR:
        *why = "the server lacks memory or the like (RPC SYSTEM_ERR)";
        return -EPROTO;
    default:
        return 0;
    }
}

static int parse_null_reply(uint32_t xid, const uint8_t *bytes, size_t size, const char **why)
{
    const uint8_t *reply = bytes + RPC_RECORD_MARK;
    uint32_t mark, length;

    if (size < RPC_RECORD_MARK)
        return -EAGAIN;
    mark = word_at(bytes);
    length = mark & ~RPC_LAST_FRAGMENT;
    *why = "no RPC reply";
    if (!(mark & RPC_LAST_FRAGMENT) || length < RPC_REPLY_MIN ||
        length > SERVICE_ANSWER_SIZE - RPC_RECORD_MARK || size > RPC_RECORD_MARK + length)
        return -EPROTO;
    if (size < RPC_RECORD_MARK + length)
        return -EAGAIN;
    if (word_at(reply) != xid || word_at(reply + RPC_WORD) != RPC_REPLY)
        return -EPROTO;
    switch (word_at(reply + 2 * RPC_WORD)) {
    case RPC_ACCEPTED:
        return parse_accepted(reply, length, why);
    case RPC_DENIED:
        return 0;
    default:
        return -EPROTO;
    }
}

static int parse_status_line(const uint8_t *bytes, size_t size, const char **why)
{
    static const char pattern[] = "HTTP/1.d ddd"; /* d: a digit */

    *why = "no HTTP response";
    for (size_t i = 0; i < sizeof(pattern) - 1; i++) {
        if (i == size)
            return -EAGAIN;
        if (pattern[i] == 'd' ? !isdigit(bytes[i]) : bytes[i] != (uint8_t)pattern[i])
            return -EPROTO;
    }
    *why = "an HTTP status that is no success";
    return bytes[9] == '2' || bytes[9] == '3' ? 0 : -EPROTO;
}

int service_answer_parse(const struct service_protocol *protocol, uint32_t xid, const uint8_t *bytes,
                         size_t size, const char **why)
{
    switch (protocol->kind) {
    case SERVICE_NFS3:
        return parse_null_reply(xid, bytes, size, why);
    case SERVICE_HTTP:
        return parse_status_line(bytes, size, why);
    case SERVICE_TCP:
    case SERVICE_ISCSI:
        break;
    }
    return 0;
}

void service_dialogue_begin(struct service_dialogue *dialogue, uint64_t isid)
{
    dialogue->answer_bytes = 0;
    iscsi_begin(&dialogue->iscsi, isid);
}

size_t service_dialogue_ask(struct service_dialogue *dialogue, const struct service_protocol *protocol,
                            const struct address *address, uint8_t out[static SERVICE_REQUEST_SIZE])
{
    if (protocol->kind == SERVICE_ISCSI)
        return iscsi_ask(&dialogue->iscsi, out);
    dialogue->answer_bytes = 0;
    return service_request(protocol, address, ++dialogue->xid, out);
}

/* What has no room says nothing: no answer is so long. */
static void keep(struct service_dialogue *dialogue, const uint8_t *bytes, size_t size)
{
    size_t room = sizeof(dialogue->answer) - dialogue->answer_bytes, kept = (size_t)min_u64(size, room);

    memcpy(dialogue->answer + dialogue->answer_bytes, bytes, kept);
    dialogue->answer_bytes += kept;
}

size_t service_dialogue_hear(struct service_dialogue *dialogue, const struct service_protocol *protocol,
                             const uint8_t *bytes, size_t size, struct service_reply *reply)
{
    if (protocol->kind == SERVICE_ISCSI)
        return iscsi_hear(&dialogue->iscsi, bytes, size, reply);
    *reply = (struct service_reply){.answer = SERVICE_INCOMPLETE};
    keep(dialogue, bytes, size);
    switch (service_answer_parse(protocol, dialogue->xid, dialogue->answer, dialogue->answer_bytes,
                                 &reply->why)) {
    case 0:
        reply->answer = protocol->kind == SERVICE_NFS3 ? SERVICE_ANSWERS : SERVICE_ENDS;
        break;
    case -EPROTO:
        reply->answer = SERVICE_REFUSES;
        break;
    default:
        break;
    }
    return size;
}
