/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes and links as plain data.
 */
#pragma once

#include "probe/base.h"

/* One route to the service (a /32 or /128), or one that covers it. */
struct fib_route {
    struct address destination;
    uint8_t prefix_length;
    struct address gateway; /* empty: on-link (or no unicast route) */
    uint32_t ifindex;       /* 0: none (blackhole, unreachable, multipath) */
    struct address source;  /* preferred source; empty: none */
    uint32_t table;
    uint32_t metric;
    uint8_t protocol; /* rtnetlink(7) RTPROT_*, or ours */
    uint8_t type;     /* RTN_UNICAST, RTN_LOCAL, RTN_BLACKHOLE, ... */
    uint8_t tos;
    uint32_t nexthop_id; /* RTA_NH_ID: the route points at a nexthop object; 0: none */
    bool onlink;         /* RTNH_F_ONLINK */
    bool redirected;     /* not of the FIB, but what the kernel made of it after an ICMP redirect */
    bool cached;         /* not of the FIB, but what the kernel derived from it for one destination */
    bool link_down;      /* RTNH_F_LINKDOWN or RTNH_F_DEAD */
    bool multipath;      /* more than one next hop: gateway and ifindex are those of the first one */
};

struct fib_link {
    uint32_t ifindex;
    char name[IF_NAMESIZE];
    uint32_t mtu_bytes; /* 0: not known */
    bool usable;        /* administratively up, with a carrier */
    bool loopback;
};
