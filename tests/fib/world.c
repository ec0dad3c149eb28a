/* SPDX-License-Identifier: Apache-2.0 */
/* See world.h. */
#include "tests/fib/world.h"
#include "route/fib/message.h"
#include "route/fib/netlink.h"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/ioctl.h>

struct fib_settings world_settings(void)
{
    return (struct fib_settings){
        .backend = "netlink", .table = RT_TABLE_MAIN, .metric = 0, .protocol = OUR_PROTOCOL};
}

static uint32_t index_there(int node)
{
    struct ifreq request = {.ifr_name = "data"};
    int fd = netns_socket(node, AF_INET, SOCK_DGRAM, 0);
    int r = ioctl(fd, SIOCGIFINDEX, &request);

    close(fd);
    cr_assert_eq(r, 0);
    return (uint32_t)request.ifr_ifindex;
}

void world_open(struct world *world, const struct fib_settings *settings)
{
    char message[256];
    int r = netns_enter();

    memset(world, 0, sizeof(*world));
    if (r == -EPERM)
        cr_skip_test("needs the right to make network namespaces: root, or unshare -Urn");
    cr_assert_eq(r, 0, "netns_enter: %s", strerror(-r));
    world->node = netns_new();
    cr_assert_geq(world->node, 0);
    netns_veth(NETNS_HERE, "data", "10.1.0.1/24", world->node, "data", "10.1.0.2/24");
    netns_veth(NETNS_HERE, "management", "10.2.0.1/24", world->node, "management", "10.2.0.2/24");
    netns_must(NETNS_HERE, "ip -batch - <<END\n"
                           "address add fd01::1/64 dev data nodad\n"
                           "address add fd02::1/64 dev management nodad\n"
                           "END");
    netns_must(world->node, "ip -batch - <<END\n"
                            "address add 10.1.0.3/24 dev data\n"
                            "address add 10.1.0.4/24 dev data\n"
                            "address add fd01::2/64 dev data nodad\n"
                            "address add fd01::3/64 dev data nodad\n"
                            "address add fd01::4/64 dev data nodad\n"
                            "address add fd02::2/64 dev management nodad\n"
                            "address add 192.168.33.2/32 dev lo\n"
                            "address add fd99::1/128 dev lo nodad\n"
                            "END");
    world->data = if_nametoindex("data");
    world->management = if_nametoindex("management");
    world->there = index_there(world->node);
    r = fib_open(&world->fib, settings, message, sizeof(message));
    cr_assert_eq(r, 0, "%s", message);
}

void world_close(struct world *world)
{
    world->fib = fib_close(world->fib);
    world->node = close_fd(world->node);
}

struct address address_of(const char *text)
{
    struct address address;
    int r = address_parse(&address, text);

    cr_assert_eq(r, 0, "%s", text);
    return address;
}

struct address service_of(uint8_t family)
{
    return address_of(family == AF_INET ? "192.168.33.2" : "fd99::1");
}

const char *routes_text(struct fib *fib, const struct address *service, char *buffer, size_t size_bytes)
{
    struct fib_route routes[8];
    size_t count = ARRAY_SIZE(routes);
    size_t length = 0;
    int r = fib_get(fib, service, routes, &count);

    cr_assert_eq(r, 0, "%s", fib_error(fib));
    cr_assert_leq(count, ARRAY_SIZE(routes));
    buffer[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        char text[256];

        length += (size_t)snprintf(buffer + length, size_bytes - length, "%s%s", i > 0 ? "; " : "",
                                   fib_route_text(&routes[i], text, sizeof(text)));
        cr_assert_lt(length, size_bytes);
    }
    return buffer;
}

const char *route_text(const struct fib_route *route, char *buffer, size_t size_bytes)
{
    if (!address_is_set(&route->destination))
        return memset(buffer, 0, size_bytes);
    return fib_route_text(route, buffer, size_bytes);
}

const char *expand_service(const char *text, const struct address *service, char *buffer, size_t size_bytes)
{
    char host[ADDRESS_TEXT_SIZE + 4];
    size_t n = 0;

    snprintf(host, sizeof(host), "%s/%zu", ADDRESS_TEXT(service), address_size_bytes(service) * 8);
    for (; *text && n + sizeof(host) < size_bytes; text++)
        if (*text == 'S')
            n += (size_t)snprintf(buffer + n, size_bytes - n, "%s", host);
        else
            buffer[n++] = *text;
    buffer[n] = '\0';
    return buffer;
}

int raw_change(uint16_t type, uint16_t flags, const struct fib_route *route)
{
    union netlink_request request;
    struct nlmsghdr *header = mnl_nlmsg_put_header(request.bytes);
    struct netlink netlink;
    int r;

    cr_assert_eq(netlink_open(&netlink, NETLINK_ROUTE), 0);
    header->nlmsg_type = type;
    header->nlmsg_flags = flags;
    fib_message_put_route(header, route);
    r = netlink_request(&netlink, header, NULL, NULL);
    netlink_close(&netlink);
    return r;
}

/* An ICMP redirect with the beginning of an echo reply that this host is said to have sent. */
static size_t redirect_ipv4(uint8_t *packet, const struct address *host, const struct address *service,
                            const struct address *gateway)
{
    struct {
        struct icmphdr header;
        struct iphdr sent;
        struct icmphdr reply;
    } message = {
        .header = {.type = ICMP_REDIRECT, .code = ICMP_REDIR_HOST},
        .sent = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_ICMP, .tot_len = htons(28)},
        .reply = {.type = ICMP_ECHOREPLY},
    };
    uint32_t sum = 0;
    uint16_t words[sizeof(message) / 2];

    memcpy(&message.header.un.gateway, gateway->bytes, 4);
    memcpy(&message.sent.saddr, host->bytes, 4);
    memcpy(&message.sent.daddr, service->bytes, 4);
    memcpy(words, &message, sizeof(message));
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        sum += words[i];
    sum = (sum & 0xffff) + (sum >> 16);
    message.header.checksum = (uint16_t) ~(sum + (sum >> 16));
    memcpy(packet, &message, sizeof(message));
    return sizeof(message);
}

static size_t redirect_ipv6(uint8_t *packet, const struct address *service, const struct address *gateway)
{
    struct nd_redirect message = {.nd_rd_hdr = {.icmp6_type = ND_REDIRECT}};

    memcpy(&message.nd_rd_target, gateway->bytes, 16);
    memcpy(&message.nd_rd_dst, service->bytes, 16);
    memcpy(packet, &message, sizeof(message));
    return sizeof(message);
}

/* The host as the node sees it: by its address of the router's kind. */
static struct address own_address(const struct world *world, const struct address *router)
{
    struct address source;
    uint32_t ifindex;

    cr_assert_eq(fib_egress(world->fib, router, &ifindex, &source), 0, "%s", fib_error(world->fib));
    source.scope = 0;
    return source;
}

#define REDIRECT_AGAIN_NS (100 * NS_PER_MS)

void world_redirect(struct world *world, const struct address *service, const struct address *router,
                    const struct address *gateway)
{
    bool six = service->family == AF_INET6;
    struct address host = own_address(world, router);
    struct address from = *router;
    struct sockaddr_storage to, source;
    socklen_t to_bytes, source_bytes;
    uint8_t packet[128];
    size_t size_bytes =
        six ? redirect_ipv6(packet, service, gateway) : redirect_ipv4(packet, &host, service, gateway);
    int fd = netns_socket(world->node, service->family, SOCK_RAW, six ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
    uint64_t deadline_ns = clock_now_ns(CLOCK_MONOTONIC) + 5 * NS_PER_S;
    struct fib_way way = {0};
    int hops = 255;

    cr_assert_geq(fd, 0);
    setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof(hops));
    if (six)
        host.scope = from.scope = world->there;
    to_bytes = address_to_sockaddr(&host, 0, &to);
    source_bytes = address_to_sockaddr(&from, 0, &source);
    cr_assert_eq(bind(fd, (struct sockaddr *)&source, source_bytes), 0, "%s: %s", ADDRESS_TEXT(&from),
                 strerror(errno));
    /* The kernel obeys once it has found out where that gateway is. Few are sent, for one that is late would come
     * after what the test does next. */
    while (way.kind != FIB_WAY_DETOUR && clock_now_ns(CLOCK_MONOTONIC) < deadline_ns) {
        uint64_t again_ns = clock_now_ns(CLOCK_MONOTONIC) + REDIRECT_AGAIN_NS;

        cr_assert_eq(sendto(fd, packet, size_bytes, 0, (struct sockaddr *)&to, to_bytes), (ssize_t)size_bytes,
                     "%s", strerror(errno));
        while (way.kind != FIB_WAY_DETOUR && clock_now_ns(CLOCK_MONOTONIC) < again_ns) {
            poll(NULL, 0, 1);
            cr_assert_eq(fib_way(world->fib, service, &way), 0, "%s", fib_error(world->fib));
        }
    }
    close(fd);
    cr_assert_eq(way.kind, FIB_WAY_DETOUR, "no redirect to %s was heeded", ADDRESS_TEXT(gateway));
}

bool wait_for_event(struct fib *fib, enum fib_event_kind kind, struct fib_event *event)
{
    uint64_t deadline_ns = clock_now_ns(CLOCK_MONOTONIC) + 5 * NS_PER_S;
    uint64_t now_ns;

    while ((now_ns = clock_now_ns(CLOCK_MONOTONIC)) < deadline_ns) {
        struct pollfd waiting = {.fd = fib_fd(fib), .events = POLLIN};

        while (fib_next_event(fib, event))
            if (event->kind == kind)
                return true;
        poll(&waiting, 1, (int)((deadline_ns - now_ns) / NS_PER_MS) + 1);
    }
    return false;
}

unsigned drain_events(struct fib *fib, enum fib_event_kind kind)
{
    struct fib_event event;
    unsigned count = 0;

    while (fib_next_event(fib, &event))
        count += event.kind == kind;
    return count;
}
