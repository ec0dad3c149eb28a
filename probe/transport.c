/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The choice of a transport: by name, or by trying ("auto"): the first row that opens is taken. Versions of
 * the kernel are not asked, since sysctls, seccomp and other systems decide as well. The rows are in the
 * order of what we measured, see transport_uring.c.
 */
#include "probe/transport.h"

#include "probe/lacking.h"

static const struct {
    const char *name;
    int (*open)(struct transport **out, const struct probe_settings *settings);
    uint32_t from_targets; /* "auto" takes it for so many or more */
    enum lacking lacking;  /* what it stands or falls with */
    const char *hint;      /* what may be missing */
} transports[] = {
    {"io_uring", transport_uring_open, TRANSPORT_MANY, LACKING_IO_URING,
     " (it needs Linux 6.0 and a build with liburing, and may be off by kernel.io_uring_disabled or "
     "seccomp)"},
    {"epoll", transport_epoll_open, 0, LACKING_EPOLL, ""},
    {"poll", transport_poll_open, 0, LACKING_PPOLL, ""},
};

/* Without IPv4 there may still be IPv6; and what was asked for it must be right from the start. */
static int open_families(struct transport *transport, const struct probe_settings *settings, char *message,
                         size_t size_bytes)
{
    uint16_t ident;
    int r = transport->operations->open_family(transport, AF_INET, &ident, message, size_bytes);

    if (r == -EAFNOSUPPORT || (r == 0 && address_is_set(&settings->source6)))
        r = transport->operations->open_family(transport, AF_INET6, &ident, message, size_bytes);
    return r;
}

static int open_by_name(struct transport **out, const struct probe_settings *settings, uint32_t targets,
                        char *message, size_t size_bytes)
{
    bool any = strcmp(settings->transport, "auto") == 0;
    int r = -EINVAL;

    snprintf(message, size_bytes, "transport \"%s\" is not known, expected auto, epoll, io_uring or poll",
             settings->transport);
    for (size_t i = 0; i < ARRAY_SIZE(transports); i++) {
        if (any && settings->tx_timestamps && transports[i].open == transport_uring_open)
            continue;
        if (any ? targets < transports[i].from_targets : strcmp(settings->transport, transports[i].name) != 0)
            continue;
        r = transports[i].open(out, settings);
        if (r < 0) {
            if (any)
                lacking_note(transports[i].lacking, r);
            snprintf(message, size_bytes, "transport %s: %s%s", transports[i].name, strerror(-r),
                     transports[i].hint);
            continue;
        }
        /* A system may let us make a transport and not use it. */
        r = open_families(*out, settings, message, size_bytes);
        if (r == 0)
            return 0;
        *out = transport_close(*out);
    }
    return r;
}

int transport_open(struct transport **out, const struct probe_settings *settings, uint32_t targets,
                   char *message, size_t size_bytes)
{
    CLEANUP(transport_close) struct transport *transport = NULL;
    int r = probe_settings_check(settings, message, size_bytes);

    if (r == 0)
        r = open_by_name(&transport, settings, targets, message, size_bytes);
    if (r < 0)
        return r;
    *out = TAKE(transport);
    return 0;
}

struct transport *transport_close(struct transport *transport)
{
    if (transport)
        transport->operations->close(transport);
    return NULL;
}
