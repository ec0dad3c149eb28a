/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings and texts of the probe engine. Pure.
 */
#include "probe/probe.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

const char *probe_outcome_text(enum probe_outcome outcome)
{
    switch (outcome) {
    case PROBE_REPLY:
        return "reply";
    case PROBE_LATE:
        return "late";
    case PROBE_DUPLICATE:
        return "duplicate";
    case PROBE_TIMEOUT:
        return "timeout";
    case PROBE_UNREACHABLE:
        return "unreachable";
    case PROBE_FRAG_NEEDED:
        return "frag-needed";
    case PROBE_SEND_FAILED:
        return "send-failed";
    }
    return "unknown";
}

struct icmp_text {
    uint8_t family;
    uint8_t type;
    uint8_t code;
    const char *text;
};

/* RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1; RFC 4443 section 3. */
static const struct icmp_text icmp_texts[] = {
    {AF_INET, ICMP_DEST_UNREACH, ICMP_NET_UNREACH, "network unreachable"},
    {AF_INET, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, "host unreachable"},
    {AF_INET, ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, "protocol unreachable"},
    {AF_INET, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, "port unreachable"},
    {AF_INET, ICMP_DEST_UNREACH, ICMP_SR_FAILED, "source route failed"},
    {AF_INET, ICMP_DEST_UNREACH, ICMP_NET_UNKNOWN, "network unknown"},
    {AF_INET, ICMP_DEST_UNREACH, ICMP_HOST_UNKNOWN, "host unknown"},
    {AF_INET, ICMP_DEST_UNREACH, ICMP_NET_ANO, "network prohibited"},
    {AF_INET, ICMP_DEST_UNREACH, ICMP_HOST_ANO, "host prohibited"},
    {AF_INET, ICMP_DEST_UNREACH, ICMP_NET_UNR_TOS, "network unreachable for this TOS"},
    {AF_INET, ICMP_DEST_UNREACH, ICMP_HOST_UNR_TOS, "host unreachable for this TOS"},
    {AF_INET, ICMP_DEST_UNREACH, ICMP_PKT_FILTERED, "administratively prohibited"},
    {AF_INET, ICMP_DEST_UNREACH, ICMP_PREC_VIOLATION, "precedence violation"},
    {AF_INET, ICMP_DEST_UNREACH, ICMP_PREC_CUTOFF, "precedence cut off"},
    {AF_INET, ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, "TTL exceeded in transit"},
    {AF_INET, ICMP_TIME_EXCEEDED, ICMP_EXC_FRAGTIME, "reassembly time exceeded"},
    {AF_INET6, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOROUTE, "no route"},
    {AF_INET6, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_ADMIN, "administratively prohibited"},
    {AF_INET6, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_BEYONDSCOPE, "beyond the scope of the source"},
    {AF_INET6, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_ADDR, "address unreachable"},
    {AF_INET6, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOPORT, "port unreachable"},
    {AF_INET6, ICMP6_DST_UNREACH, 5, "source address failed policy"},
    {AF_INET6, ICMP6_DST_UNREACH, 6, "route rejected"},
    {AF_INET6, ICMP6_TIME_EXCEEDED, ICMP6_TIME_EXCEED_TRANSIT, "hop limit exceeded in transit"},
    {AF_INET6, ICMP6_TIME_EXCEEDED, ICMP6_TIME_EXCEED_REASSEMBLY, "reassembly time exceeded"},
};

static const char *icmp_text(const struct probe_error *error)
{
    for (size_t i = 0; i < ARRAY_SIZE(icmp_texts); i++)
        if (icmp_texts[i].family == error->from.family && icmp_texts[i].type == error->icmp_type &&
            icmp_texts[i].code == error->icmp_code)
            return icmp_texts[i].text;
    return NULL;
}

static void unreachable_text(const struct probe_error *error, char *buffer, size_t size_bytes)
{
    const char *text = icmp_text(error);

    if (text)
        snprintf(buffer, size_bytes, "%s, says %s", text, ADDRESS_TEXT(&error->from));
    else
        snprintf(buffer, size_bytes, "ICMP type %u code %u, says %s", error->icmp_type, error->icmp_code,
                 ADDRESS_TEXT(&error->from));
}

static void too_big_text(const struct probe_error *error, char *buffer, size_t size_bytes)
{
    char mtu[32] = "";
    char who[16 + ADDRESS_TEXT_SIZE] = "this host";

    if (error->mtu_bytes)
        snprintf(mtu, sizeof(mtu), " for an MTU of %" PRIu32, error->mtu_bytes);
    if (address_is_set(&error->from))
        address_format(&error->from, who);
    snprintf(buffer, size_bytes, "packet too big%s, says %s", mtu, who);
}

/* What came instead of a valid reply. */
static void timeout_text(const struct probe_error *error, uint64_t timeout_ns, char *buffer,
                         size_t size_bytes)
{
    const char *valid = error->refusal == PROBE_NOT_REFUSED ? "" : "valid ";
    char waited[48] = "";
    int length;

    if (timeout_ns)
        snprintf(waited, sizeof(waited), " in %.15g ms", (double)timeout_ns / 1e6);
    length = snprintf(buffer, size_bytes, "no %sreply%s", valid, waited);
    if (length < 0 || (size_t)length >= size_bytes)
        return;
    buffer += length;
    size_bytes -= (size_t)length;
    switch (error->refusal) {
    case PROBE_NOT_REFUSED:
        break;
    case PROBE_REFUSED_FROM:
        snprintf(buffer, size_bytes, "; a reply came from %s", ADDRESS_TEXT(&error->from));
        break;
    case PROBE_REFUSED_CORRUPT:
        snprintf(buffer, size_bytes, "; a corrupt reply came from %s", ADDRESS_TEXT(&error->from));
        break;
    case PROBE_REFUSED_SHORT:
        snprintf(buffer, size_bytes,
                 "; a reply truncated to %" PRIu32 " bytes came from %s, too short to prove itself",
                 error->reply_bytes, ADDRESS_TEXT(&error->from));
        break;
    }
}

const char *probe_reason_text(enum probe_outcome outcome, const struct probe_error *error,
                              uint64_t timeout_ns, char *buffer, size_t size_bytes)
{
    if (size_bytes == 0)
        return buffer;
    buffer[0] = '\0';
    switch (outcome) {
    case PROBE_REPLY:
        if (error->reply_bytes)
            snprintf(buffer, size_bytes, "reply truncated to %" PRIu32 " bytes", error->reply_bytes);
        break;
    case PROBE_LATE:
        snprintf(buffer, size_bytes, "late reply");
        break;
    case PROBE_DUPLICATE:
        snprintf(buffer, size_bytes, "duplicate reply");
        break;
    case PROBE_TIMEOUT:
        timeout_text(error, timeout_ns, buffer, size_bytes);
        break;
    case PROBE_UNREACHABLE:
        unreachable_text(error, buffer, size_bytes);
        break;
    case PROBE_FRAG_NEEDED:
        too_big_text(error, buffer, size_bytes);
        break;
    case PROBE_SEND_FAILED:
        snprintf(buffer, size_bytes, "cannot send: %s%s", strerror(error->error),
                 error->error == EPERM    ? " (a firewall rule of this host?)"
                 : error->error == EACCES ? " (a broadcast address, or a route that prohibits it)"
                                          : "");
        break;
    }
    return buffer;
}

struct probe_settings probe_settings_default(void)
{
    return (struct probe_settings){
        .transport = "auto",
        .select_timeout_ns = NS_PER_S,
        .select_count = 1,
        .retry_doubtful = true,
        .payload_bytes = 56,
    };
}

/* An hour, a million: beyond these a setting is a mistake, and sums stay far from overflow. */
#define SELECT_TIMEOUT_MAX_NS (3600 * NS_PER_S)
#define SELECT_COUNT_MAX      1000000

int probe_settings_check(const struct probe_settings *s, char *message, size_t size_bytes)
{
    int length = 0;

    if (!s->transport || !s->transport[0])
        length = snprintf(message, size_bytes, "transport is empty, expected auto, epoll, io_uring or poll");
    else if (s->select_timeout_ns < NS_PER_MS || s->select_timeout_ns > SELECT_TIMEOUT_MAX_NS)
        length = snprintf(message, size_bytes, "select-timeout is %.15g ms, expected 1 ms to 1 hour",
                          (double)s->select_timeout_ns / 1e6);
    else if (s->select_count < 1 || s->select_count > SELECT_COUNT_MAX)
        length = snprintf(message, size_bytes, "select-count is %" PRIu32 ", expected 1 to %d",
                          s->select_count, SELECT_COUNT_MAX);
    else if (s->ping_timeout_ns != 0 && s->ping_timeout_ns < NS_PER_MS)
        length = snprintf(message, size_bytes, "ping-timeout is %.15g ms, expected at least 1 ms",
                          (double)s->ping_timeout_ns / 1e6);
    else if (s->payload_bytes < PROBE_PAYLOAD_MIN_BYTES || s->payload_bytes > PROBE_PAYLOAD_MAX_BYTES)
        length = snprintf(message, size_bytes, "payload is %" PRIu32 " bytes, expected %d to %d",
                          s->payload_bytes, PROBE_PAYLOAD_MIN_BYTES, PROBE_PAYLOAD_MAX_BYTES);
    else if (address_is_set(&s->source4) && s->source4.family != AF_INET)
        length = snprintf(message, size_bytes, "source address %s, expected IPv4", ADDRESS_TEXT(&s->source4));
    else if (address_is_set(&s->source6) && s->source6.family != AF_INET6)
        length = snprintf(message, size_bytes, "source address %s, expected IPv6", ADDRESS_TEXT(&s->source6));
    else if (s->tx_timestamps && strcmp(s->transport, "io_uring") == 0)
        length =
            snprintf(message, size_bytes, "transport is io_uring, expected epoll or poll for TX time stamps");
    else if (!memchr(s->interface, '\0', IFNAMSIZ))
        length = snprintf(message, size_bytes, "interface name is too long, expected at most %d characters",
                          IFNAMSIZ - 1);
    return length ? -EINVAL : 0;
}
