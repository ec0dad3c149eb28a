/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small header-only toolbox: time, addresses, cleanup, a keyed hash.
 *
 * This is the only header that every folder may include. It holds what two or more of them need and nothing
 * else; whatever a library already does (JSON, HTTP, netlink, configuration) is not here.
 *
 * Errors everywhere in this project: a function that can fail returns 0 or a negative errno, which the caller
 * forwards unchanged. A positive enum is an outcome that the caller handles.
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* --- time ------------------------------------------------------------------------------------------------
 * Every point in time and every duration is an uint64_t of nanoseconds with the suffix _ns. Points are on
 * CLOCK_MONOTONIC unless the name says otherwise. A deadline that never comes is NEVER_NS.
 */
#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)
#define NEVER_NS  UINT64_MAX

static inline uint64_t timespec_ns(const struct timespec *ts)
{
    return (uint64_t)ts->tv_sec * NS_PER_S + (uint64_t)ts->tv_nsec;
}

/* A clock that this system does not know (CLOCK_BOOTTIME) is CLOCK_MONOTONIC. */
static inline uint64_t clock_now_ns(clockid_t clock)
{
    struct timespec ts = {0};

    if (clock_gettime(clock, &ts) < 0)
        clock_gettime(CLOCK_MONOTONIC, &ts);
    return timespec_ns(&ts);
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* a - b, but never below zero: what is left of a wait. */
static inline uint64_t sub_sat_u64(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* a + b, but never past NEVER_NS: a deadline. */
static inline uint64_t add_sat_u64(uint64_t a, uint64_t b)
{
    return a > NEVER_NS - b ? NEVER_NS : a + b;
}

/* --- cleanup ---------------------------------------------------------------------------------------------
 * A destructor accepts NULL and returns NULL, so that `x = x_free(x)` leaves nothing dangling.
 * `CLEANUP(x_free) struct x *x = NULL;` frees at the end of the scope; DEFINE_CLEANUP makes the glue.
 */
#define CLEANUP(function) __attribute__((cleanup(function##_cleanup)))
#define DEFINE_CLEANUP(type, function)             \
    static inline void function##_cleanup(type *p) \
    {                                              \
        if (*p)                                    \
            function(*p);                          \
    }

/* For a pointer to whatever: `at` is its address. */
static inline void free_cleanup(void *at)
{
    void *memory;

    memcpy(&memory, at, sizeof(memory));
    free(memory);
}

static inline int close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
    return -1;
}

static inline void close_fd_cleanup(int *fd)
{
    close_fd(*fd);
}

/* A number of four bytes in network byte order, wherever it stands. */
static inline uint32_t word_at(const uint8_t *bytes)
{
    uint32_t word;

    memcpy(&word, bytes, sizeof(word));
    return ntohl(word);
}

static inline void word_put(uint8_t *bytes, uint32_t word)
{
    word = htonl(word);
    memcpy(bytes, &word, sizeof(word));
}

/* What writev() or sendmsg() is to send. They only read it, but struct iovec serves both ways. */
static inline struct iovec iovec_out(const void *bytes, size_t size_bytes)
{
    return (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = size_bytes};
}

/* Transfers ownership out of a CLEANUP variable. */
#define TAKE(pointer)                           \
    ({                                          \
        __typeof__(pointer) taken_ = (pointer); \
        (pointer) = NULL;                       \
        taken_;                                 \
    })

#define ARRAY_SIZE(a)          (sizeof(a) / sizeof((a)[0]))
#define PRINTF_LIKE(at, first) __attribute__((format(printf, at, first)))

/* --- addresses -------------------------------------------------------------------------------------------
 * One IPv4 or IPv6 address, with the scope (an interface index) that a link-local IPv6 address needs. All
 * zero is "no address"; unused bytes are always zero.
 */
struct address {
    uint8_t family; /* AF_INET, AF_INET6, or 0: none */
    uint8_t bytes[16];
    uint32_t scope;
    /* The interface as somebody wrote it, where that is kept: it lasts, scope is its index of now (0: it does
     * not exist). Empty: there is only the index. See probe/scope.h. */
    char zone[IF_NAMESIZE];
};

#define ADDRESS_TEXT_SIZE (INET6_ADDRSTRLEN + 1 + IF_NAMESIZE)

static inline bool address_is_set(const struct address *a)
{
    return a->family != 0;
}

static inline size_t address_size_bytes(const struct address *a)
{
    return a->family == AF_INET ? 4 : a->family == AF_INET6 ? 16 : 0;
}

/* Interfaces are the same when they were written alike, or when their indices are. */
static inline bool address_equal(const struct address *a, const struct address *b)
{
    if (a->family != b->family || memcmp(a->bytes, b->bytes, sizeof(a->bytes)) != 0)
        return false;
    if (a->zone[0] && strcmp(a->zone, b->zone) == 0)
        return true;
    return a->scope == b->scope && (a->scope || (!a->zone[0] && !b->zone[0]));
}

static inline bool address_is_link_local(const struct address *a)
{
    return a->family == AF_INET6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

/*
 * True for addresses that mean nothing without an interface: link-local ones, and multicast that stays on the
 * interface or the link (RFC 4007, section 4; RFC 4291, section 2.7). No other address can have a zone here.
 */
static inline bool address_has_zone(const struct address *a)
{
    return address_is_link_local(a) || (a->family == AF_INET6 && a->bytes[0] == 0xff &&
                                        ((a->bytes[1] & 0xf) == 1 || (a->bytes[1] & 0xf) == 2));
}

/* Reads a zone that is written as a number, decimal and above 0 (RFC 4007, section 11.2). */
static inline bool address_zone_number(const char *text, uint32_t *index)
{
    uint64_t value = 0;

    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9' || value > INT32_MAX)
            return false;
        value = value * 10 + (uint64_t)(*p - '0');
    }
    *index = (uint32_t)value;
    return value > 0 && value <= INT32_MAX;
}

/* The interface that a zone names, by its name or its number; 0: there is none. */
static inline uint32_t address_zone_index(const char *text)
{
    uint32_t index = if_nametoindex(text);
    char name[IF_NAMESIZE];

    /* A name may be all digits: then it is a name first. */
    return index || (address_zone_number(text, &index) && if_indextoname(index, name)) ? index : 0;
}

/*
 * Parses a numeric address: "10.0.0.1", "fd00::1", "fe80::1%eth0", "fe80::1%2" (RFC 4007, section 11).
 * Returns 0, -EINVAL when the text is no address, -EDOM when an address has a zone that can have none, or
 * -ENODEV when the zone is no interface of this host; *out is then empty.
 */
static inline int address_parse(struct address *out, const char *text)
{
    char copy[ADDRESS_TEXT_SIZE];
    const char *percent = strchr(text, '%');
    size_t length = percent ? (size_t)(percent - text) : strlen(text);

    memset(out, 0, sizeof(*out));
    if (length == 0 || length >= INET6_ADDRSTRLEN)
        return -EINVAL;
    memcpy(copy, text, length);
    copy[length] = '\0';

    if (!percent && inet_pton(AF_INET, copy, out->bytes) == 1) {
        out->family = AF_INET;
        return 0;
    }
    if (inet_pton(AF_INET6, copy, out->bytes) != 1) {
        memset(out, 0, sizeof(*out));
        return -EINVAL;
    }
    out->family = AF_INET6;
    if (percent) {
        int r = !address_has_zone(out) ? -EDOM : (out->scope = address_zone_index(percent + 1)) ? 0 : -ENODEV;

        if (r < 0)
            memset(out, 0, sizeof(*out));
        return r;
    }
    return 0;
}

/* Writes the address as text into buffer, "-" for none, and returns buffer. */
static inline const char *address_format(const struct address *a, char buffer[static ADDRESS_TEXT_SIZE])
{
    if (!address_is_set(a) || !inet_ntop(a->family, a->bytes, buffer, INET6_ADDRSTRLEN)) {
        memcpy(buffer, "-", 2);
        return buffer;
    }
    if (a->zone[0] || a->scope) {
        size_t length = strlen(buffer);
        char name[IF_NAMESIZE];

        if (a->zone[0])
            snprintf(buffer + length, ADDRESS_TEXT_SIZE - length, "%%%s", a->zone);
        else if (if_indextoname(a->scope, name))
            snprintf(buffer + length, ADDRESS_TEXT_SIZE - length, "%%%s", name);
        else
            snprintf(buffer + length, ADDRESS_TEXT_SIZE - length, "%%%" PRIu32, a->scope);
    }
    return buffer;
}

/* The text of an address for the length of one statement (a printf argument). */
#define ADDRESS_TEXT(a) address_format((a), (char[ADDRESS_TEXT_SIZE]){0})

/* Fills *out and returns its length for sendto() and friends; 0 for no address. port in host order. */
static inline socklen_t address_to_sockaddr(const struct address *a, uint16_t port,
                                            struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (a->family == AF_INET) {
        struct sockaddr_in *in4 = (struct sockaddr_in *)out;

        in4->sin_family = AF_INET;
        in4->sin_port = htons(port);
        memcpy(&in4->sin_addr, a->bytes, 4);
        return sizeof(*in4);
    }
    if (a->family == AF_INET6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        in6->sin6_scope_id = a->scope;
        memcpy(&in6->sin6_addr, a->bytes, 16);
        return sizeof(*in6);
    }
    return 0;
}

/* The address of a sockaddr; the scope is kept for link-local addresses only. Empty for other families. */
static inline struct address address_from_sockaddr(const struct sockaddr *sa)
{
    struct address a = {0};

    if (sa->sa_family == AF_INET) {
        a.family = AF_INET;
        memcpy(a.bytes, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)sa;

        a.family = AF_INET6;
        memcpy(a.bytes, &in6->sin6_addr, 16);
        if (address_is_link_local(&a))
            a.scope = in6->sin6_scope_id;
    }
    return a;
}

/* --- a keyed hash ----------------------------------------------------------------------------------------
 * SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012). Used to seal the tokens of
 * our echo requests, so that nobody off the path can make up a reply, and to spread hosts over equal
 * accesses.
 */
static inline uint64_t siphash_rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void siphash_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = siphash_rotate(v[1], 13) ^ v[0];
    v[0] = siphash_rotate(v[0], 32);
    v[2] += v[3];
    v[3] = siphash_rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = siphash_rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = siphash_rotate(v[1], 17) ^ v[2];
    v[2] = siphash_rotate(v[2], 32);
}

static inline uint64_t siphash24(const void *data, size_t size_bytes, const uint64_t key[2])
{
    const uint8_t *p = data;
    uint64_t last = (uint64_t)size_bytes << 56;
    uint64_t v[4] = {
        key[0] ^ UINT64_C(0x736f6d6570736575),
        key[1] ^ UINT64_C(0x646f72616e646f6d),
        key[0] ^ UINT64_C(0x6c7967656e657261),
        key[1] ^ UINT64_C(0x7465646279746573),
    };

    for (; size_bytes >= 8; size_bytes -= 8, p += 8) {
        uint64_t word = 0;

        for (int i = 7; i >= 0; i--)
            word = word << 8 | p[i];
        v[3] ^= word;
        siphash_round(v);
        siphash_round(v);
        v[0] ^= word;
    }
    for (size_t i = 0; i < size_bytes; i++)
        last |= (uint64_t)p[i] << (8 * i);
    v[3] ^= last;
    siphash_round(v);
    siphash_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        siphash_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
