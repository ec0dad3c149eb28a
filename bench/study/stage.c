/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A study's private world, see stage.h. Namespaces have no names: descriptors and processes hold them, so
 * there is nothing to clean up. What is set up is written as one would type it, for ip(8) in batch mode.
 */
#include "bench/study/stage.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "bench/study/child.h"
#include "probe/sweep.h"

static int write_file(const char *file, const char *text)
{
    CLEANUP(close_fd) int fd = open(file, O_WRONLY | O_CLOEXEC);

    return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* Root in a user namespace of our own, and ourselves outside of it (user_namespaces(7)). */
static int unshare_as_user(void)
{
    char user[32], group[32];
    int r;

    snprintf(user, sizeof(user), "0 %u 1", geteuid());
    snprintf(group, sizeof(group), "0 %u 1", getegid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return -errno;
    r = write_file("/proc/self/setgroups", "deny");
    if (r == 0)
        r = write_file("/proc/self/uid_map", user);
    if (r == 0)
        r = write_file("/proc/self/gid_map", group);
    return r;
}

static int loopback_up(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    CLEANUP(close_fd) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        return -errno;
    return 0;
}

/* Ping sockets, as systemd's own sysctl settings allow them: a fresh namespace allows nobody. */
static int allow_ping_sockets(void)
{
    char range[32];

    snprintf(range, sizeof(range), "%u %u", getegid(), getegid());
    return write_file("/proc/sys/net/ipv4/ping_group_range", range);
}

int stage_enter(char *message, size_t size_bytes)
{
    int r = unshare(CLONE_NEWNET) < 0 ? -errno : 0;

    if (r == -EPERM)
        r = unshare_as_user();
    if (r == 0)
        r = loopback_up();
    if (r == 0)
        r = allow_ping_sockets();
    if (r < 0)
        snprintf(
            message, size_bytes,
            "cannot make a network namespace: %s (run it as root, or allow unprivileged user namespaces)",
            strerror(-r));
    return r;
}

/* --- the peer --------------------------------------------------------------------------------------------*/

static int open_namespace(void)
{
    int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

/* A namespace beside ours; we are where we were. */
static int new_namespace(void)
{
    CLEANUP(close_fd) int before = open_namespace();
    int made;

    if (before < 0)
        return before;
    if (unshare(CLONE_NEWNET) < 0)
        return -errno;
    made = loopback_up();
    if (made == 0)
        made = open_namespace();
    if (setns(before, CLONE_NEWNET) < 0)
        abort();
    return made;
}

/* Runs a batch for ip(8) and frees it. */
static int run_ip(char *batch, char *message, size_t size_bytes)
{
    static const char *const argv[] = {"ip", "-batch", "-", NULL};
    struct child child = {0};
    char line[256];
    int r = child_run(&child, argv, batch);

    if (r < 0)
        snprintf(message, size_bytes, "cannot start ip: %s (Debian: iproute2)", strerror(-r));
    else if (child.status != 0)
        snprintf(message, size_bytes, "ip: %s", child_error_line(&child, line, sizeof(line)));
    if (r == 0 && child.status != 0)
        r = -EIO;
    child_clear(&child);
    free(batch);
    return r;
}

static int set_up_ours(const char *live, const char *silent, int peer, char *message, size_t size_bytes)
{
    char *text = NULL;
    size_t length;
    FILE *batch = open_memstream(&text, &length);

    if (!batch)
        return -ENOMEM;
    fprintf(batch,
            "link add name " STAGE_INTERFACE " address " STAGE_OUR_MAC " type veth peer name peer0"
            " address " STAGE_PEER_MAC " netns /proc/%d/fd/%d\n"
            "address add " STAGE_OUR_ADDRESS "/30 dev " STAGE_INTERFACE "\n"
            "link set dev " STAGE_INTERFACE " up\n"
            "neighbour replace " STAGE_PEER_ADDRESS " lladdr " STAGE_PEER_MAC " dev " STAGE_INTERFACE
            " nud permanent\n"
            "route add %s via " STAGE_PEER_ADDRESS "\n",
            getpid(), peer, live);
    if (silent)
        fprintf(batch, "route add %s via " STAGE_PEER_ADDRESS "\n", silent);
    fclose(batch);
    return run_ip(text, message, size_bytes);
}

static int set_up_peer(const char *live, char *message, size_t size_bytes)
{
    char *text = NULL;
    size_t length;
    FILE *batch = open_memstream(&text, &length);

    if (!batch)
        return -ENOMEM;
    fprintf(batch,
            "address add " STAGE_PEER_ADDRESS "/30 dev peer0\nlink set dev peer0 up\n"
            "neighbour replace " STAGE_OUR_ADDRESS " lladdr " STAGE_OUR_MAC " dev peer0 nud permanent\n"
            "route add local %s dev lo\n",
            live);
    fclose(batch);
    return run_ip(text, message, size_bytes);
}

/* A fresh link passes packets only when the kernel has found out that it is up, on both ends, which may take
 * a second. */
static int wait_for_peer(char *message, size_t size_bytes)
{
    struct probe_settings settings = probe_settings_default();
    CLEANUP(probe_sweep_free) struct probe_sweep *sweep = NULL;
    struct probe_result result = {.outcome = PROBE_TIMEOUT};
    struct address peer;
    uint32_t index;
    int r;

    settings.select_timeout_ns = 10 * NS_PER_MS;
    settings.select_count = 1000;
    address_parse(&peer, STAGE_PEER_ADDRESS);
    r = probe_sweep_new(&sweep, &settings, message, size_bytes);
    if (r == 0)
        r = probe_sweep_add(sweep, &peer, &index);
    while (r == 0 && !probe_sweep_done(sweep)) {
        r = front_end_step(probe_sweep_front(sweep), NEVER_NS);
        probe_sweep_next(sweep, &result);
    }
    if (r == 0 && result.outcome != PROBE_REPLY) {
        snprintf(message, size_bytes, "the other host of the stage does not answer");
        r = -ETIMEDOUT;
    }
    return r;
}

int stage_peer(const char *live, const char *silent, char *message, size_t size_bytes)
{
    CLEANUP(close_fd) int here = open_namespace();
    int peer = here < 0 ? here : new_namespace(), r;

    if (peer < 0) {
        snprintf(message, size_bytes, "cannot make a network namespace: %s", strerror(-peer));
        return peer;
    }
    r = set_up_ours(live, silent, peer, message, size_bytes);
    if (r == 0 && setns(peer, CLONE_NEWNET) == 0) {
        r = set_up_peer(live, message, size_bytes);
        if (setns(here, CLONE_NEWNET) < 0)
            abort();
    }
    if (r == 0)
        r = wait_for_peer(message, size_bytes);
    if (r < 0)
        close(peer);
    return r < 0 ? r : peer;
}
