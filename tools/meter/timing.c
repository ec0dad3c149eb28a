/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/meter/timing.h"

#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#define STALL_NS (10 * NS_PER_MS)

int meter_timer_new(uint64_t interval_ns)
{
    struct timespec step = {.tv_sec = (time_t)(interval_ns / NS_PER_S),
                            .tv_nsec = (long)(interval_ns % NS_PER_S)};
    struct itimerspec timer = {.it_interval = step, .it_value = step};
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

    if (fd < 0 || timerfd_settime(fd, 0, &timer, NULL) < 0) {
        int r = -errno;

        close_fd(fd);
        return r;
    }
    return fd;
}

uint64_t meter_ticks(int timer)
{
    uint64_t n = 0;

    return read(timer, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

int meter_signals_new(void)
{
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fd = signalfd(-1, &set, SFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void meter_note_stall(struct meter_stalls *stalls, uint64_t missed_ns)
{
    if (missed_ns < STALL_NS)
        return;
    stalls->count++;
    stalls->total_ns += missed_ns;
    stalls->longest_ns = max_u64(stalls->longest_ns, missed_ns);
}

void meter_print_stalls(const struct meter_stalls *stalls)
{
    printf("\"stalls\":{\"count\":%u,\"longest_ms\":%.3f,\"total_ms\":%.3f}", stalls->count,
           milliseconds(stalls->longest_ns), milliseconds(stalls->total_ns));
}

void meter_go_first(void)
{
    setpriority(PRIO_PROCESS, 0, -15);
}

int meter_parse_ms(const char *text, uint64_t *out_ns)
{
    char *end;
    double ms = strtod(text, &end);

    if (end == text || *end || !isfinite(ms) || ms < 0.01 || ms > 60000)
        return -EINVAL;
    *out_ns = (uint64_t)(ms * (double)NS_PER_MS);
    return 0;
}

int meter_parse_port(const char *text, uint16_t *out)
{
    char *end;
    unsigned long port = strtoul(text, &end, 10);

    if (end == text || *end || port > UINT16_MAX)
        return -EINVAL;
    *out = (uint16_t)port;
    return 0;
}
