/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel's settings (ip-sysctl) say of an interface, as the kernel combines them with those of
 * "all".
 */
#include "route/fib/fib.h"

#include "route/fib/backend.h"

/* The value of one setting, or a negative errno. */
static int read_setting(struct fib *fib, uint8_t family, const char *name, const char *setting)
{
    char path[96 + IF_NAMESIZE];
    FILE *file;
    int value;

    snprintf(path, sizeof(path), "/proc/sys/net/ipv%d/conf/%s/%s", family == AF_INET6 ? 6 : 4, name, setting);
    file = fopen(path, "re");
    if (!file)
        return fib_fail(fib, -errno, "cannot read %s: %s", path, strerror(errno));
    if (fscanf(file, "%d", &value) != 1 || value < 0)
        value = fib_fail(fib, -EBADMSG, "%s holds no number", path);
    fclose(file);
    return value;
}

/* The values of "all" and of the interface. 0 or a negative errno. */
static int read_both(struct fib *fib, uint32_t ifindex, uint8_t family, const char *setting, int *all,
                     int *own)
{
    struct fib_link link;
    int r = fib_link(fib, ifindex, &link);

    if (r < 0)
        return fib_fail(fib, r, "interface %" PRIu32 ": %s", ifindex, strerror(-r));
    *all = read_setting(fib, family, "all", setting);
    *own = read_setting(fib, family, link.name, setting);
    return *all < 0 ? *all : *own < 0 ? *own : 0;
}

int fib_rp_filter(struct fib *fib, uint32_t ifindex)
{
    int all, own;
    int r = read_both(fib, ifindex, AF_INET, "rp_filter", &all, &own);

    if (r < 0)
        return r;
    return all > own ? all : own;
}

/* IPv4: a router needs both values, a host one of them. IPv6: a host's own value alone counts. */
int fib_accepts_redirects(struct fib *fib, uint32_t ifindex, uint8_t family)
{
    int all, own, all_forwards, forwards;
    int r = read_both(fib, ifindex, family, "accept_redirects", &all, &own);

    if (r == 0)
        r = read_both(fib, ifindex, family, "forwarding", &all_forwards, &forwards);
    if (r < 0)
        return r;
    if (family == AF_INET6)
        return own && !forwards;
    return forwards ? all && own : all || own;
}
