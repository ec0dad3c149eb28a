/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meter: how long was the service away, as its users saw it?
 *
 * An ICMP echo goes to the service every millisecond, and a TCP connection to the service's echo port carries
 * a small record every few. Each interruption is one line of JSON the moment it is over, SIGTERM or SIGINT
 * prints a summary. "silent" says that nothing has come for 100 ms, "again" that something has since. All times
 * ("at", "from", "until", "since") are seconds on CLOCK_MONOTONIC.
 *
 * What an interruption is:
 * - icmp: one or more echoes in a row, in the order of sending, that got no reply within --wait or could not
 *   be sent. It lasts from the sending of the last good echo before to the sending of the first good one
 * after.
 * - tcp: the connection broke, or an echo took more than 50 ms. It lasts from the arrival of the last echo
 *   before to the arrival of the first one after, reconnecting included.
 * `silence_ms` is in both the time between the arrivals. `own_ms` is the part in which the meter itself was
 * not running (a busy machine); it is not taken off.
 *
 * One thread, one poll loop, two timers. Nothing is counted before the first echo has come back.
 */
#include <getopt.h>
#include <poll.h>

#include "tools/meter/icmp.h"
#include "tools/meter/tcp.h"
#include "tools/meter/timing.h"

/* --- the loop --------------------------------------------------------------------------------------------*/

struct meter {
    struct meter_settings set;
    struct meter_stalls stalls;
    struct meter_icmp *icmp;
    struct meter_tcp *tcp; /* NULL: not wanted */
    int icmp_timer, tcp_timer, signals;
    uint64_t started_ns;
};

static int loop(struct meter *m)
{
    for (;;) {
        struct pollfd fds[] = {
            {.fd = m->signals, .events = POLLIN},
            {.fd = m->icmp_timer, .events = POLLIN},
            {.fd = meter_icmp_fd(m->icmp), .events = POLLIN},
            {.fd = m->tcp_timer, .events = POLLIN},
            {.fd = m->tcp ? meter_tcp_fd(m->tcp) : -1, .events = m->tcp ? meter_tcp_events(m->tcp) : 0},
        };
        uint64_t icmp_ticks;

        if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
            return -errno;
        icmp_ticks = meter_ticks(m->icmp_timer); /* whatever poll() says: we may have stood still since */
        if (icmp_ticks > 1)
            meter_note_stall(&m->stalls, (icmp_ticks - 1) * m->set.interval_ns);
        /* What has arrived is read before anything is judged. */
        if (fds[2].revents)
            meter_icmp_readable(m->icmp);
        if (fds[4].revents)
            meter_tcp_ready(m->tcp, fds[4].revents);
        /* Ticks that went by unseen are not made up for: a burst would measure nothing. */
        if (icmp_ticks)
            meter_icmp_tick(m->icmp, clock_now_ns(CLOCK_MONOTONIC));
        if (fds[3].revents && meter_ticks(m->tcp_timer))
            meter_tcp_tick(m->tcp, clock_now_ns(CLOCK_MONOTONIC));
        if (fds[0].revents)
            return 0;
        fflush(stdout);
    }
}

static void finish(struct meter *m)
{
    uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC), lost, late;
    const struct meter_figures *icmp = meter_icmp_finish(m->icmp, now_ns);
    const struct meter_figures *tcp = m->tcp ? meter_tcp_finish(m->tcp, now_ns) : NULL;

    meter_icmp_losses(m->icmp, &lost, &late);
    printf("{\"event\":\"summary\",\"elapsed_s\":%.3f,", seconds(now_ns - m->started_ns));
    meter_print_figures(icmp);
    printf(",\"lost\":%" PRIu64 ",\"late\":%" PRIu64 "},", lost, late);
    if (tcp) {
        meter_print_figures(tcp);
        printf(",\"breaks\":%u},", meter_tcp_breaks(m->tcp));
    }
    meter_print_stalls(&m->stalls);
    puts("}");
    fflush(stdout);
}

/* --- start -----------------------------------------------------------------------------------------------*/

static const char usage[] =
    "Usage: lab-meter [OPTION...] SERVICE\n"
    "Measures how long SERVICE (an IPv4 address) is away: an echo every millisecond, and a TCP stream.\n\n"
    "  --port PORT           of the TCP echo (default 2049; 0: no TCP stream)\n"
    "  --interval MS         between echoes (default 1)\n"
    "  --tcp-interval MS     between records of the TCP stream (default 5)\n"
    "  --wait MS             an echo without a reply after this is lost (default 200)\n"
    "  --connect-timeout MS  of one attempt to connect (default 20)\n";

static int parse_arguments(struct meter_settings *set, int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"interval", required_argument, NULL, 'i'},
        {"tcp-interval", required_argument, NULL, 't'},
        {"wait", required_argument, NULL, 'w'},
        {"connect-timeout", required_argument, NULL, 'c'},
        {0},
    };
    int option, r = 0;

    *set = (struct meter_settings){.port = 2049,
                                   .interval_ns = NS_PER_MS,
                                   .tcp_interval_ns = 5 * NS_PER_MS,
                                   .wait_ns = 200 * NS_PER_MS,
                                   .connect_timeout_ns = 20 * NS_PER_MS};
    while (r == 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        r = option == 'p'   ? meter_parse_port(optarg, &set->port)
            : option == 'i' ? meter_parse_ms(optarg, &set->interval_ns)
            : option == 't' ? meter_parse_ms(optarg, &set->tcp_interval_ns)
            : option == 'w' ? meter_parse_ms(optarg, &set->wait_ns)
            : option == 'c' ? meter_parse_ms(optarg, &set->connect_timeout_ns)
                            : -EINVAL;
    }
    if (r == 0 && optind + 1 == argc && address_parse(&set->service, argv[optind]) == 0 &&
        set->service.family == AF_INET)
        return 0;
    fputs(usage, stderr);
    return -EINVAL;
}

static int start(struct meter *m)
{
    int r = meter_icmp_new(&m->icmp, &m->set, &m->stalls);

    if (r == 0 && m->set.port)
        r = meter_tcp_new(&m->tcp, &m->set, &m->stalls);
    if (r == 0)
        r = m->signals = meter_signals_new();
    if (r >= 0)
        r = m->icmp_timer = meter_timer_new(m->set.interval_ns);
    if (r >= 0 && m->set.port)
        r = m->tcp_timer = meter_timer_new(m->set.tcp_interval_ns);
    if (r < 0)
        return r;
    meter_go_first();
    m->started_ns = clock_now_ns(CLOCK_MONOTONIC);
    printf("{\"event\":\"start\",\"at\":%.6f,\"service\":\"%s\"}\n", seconds(m->started_ns),
           ADDRESS_TEXT(&m->set.service));
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    struct meter m = {.icmp_timer = -1, .tcp_timer = -1, .signals = -1};
    int r;

    if (parse_arguments(&m.set, argc, argv) < 0)
        return 2;
    r = start(&m);
    if (r == 0)
        r = loop(&m);
    if (r == 0)
        finish(&m);
    else
        fprintf(stderr, "lab-meter: %s\n", strerror(-r));
    meter_icmp_free(m.icmp);
    meter_tcp_free(m.tcp);
    close_fd(m.icmp_timer);
    close_fd(m.tcp_timer);
    close_fd(m.signals);
    return r < 0;
}
