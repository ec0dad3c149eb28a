/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves what route/decide/loss.h promises: what a span counts and forgets; that a month of a path with its usual loss,
 * single or in bursts, raises no alarm, nor does it with a connection over it (route/decide/witness.h); and that loss which
 * rises to everything does so before half is lost, and sooner with a connection.
 */
#include "route/decide/health.h"
#include <criterion/criterion.h>
#include <stdlib.h>

#include "probe/random.h"

#define INTERVAL_NS (50 * NS_PER_MS)
#define HOLD_NS     (180 * NS_PER_S)
#define BAD_PERCENT 30

/* --- a span --- */

Test(loss, a_span_counts_and_forgets)
{
    struct loss_span span = {0};

    cr_expect_eq(loss_span_ppm(&span), 0, "nothing counted");
    loss_span_count(&span, 20 * NS_PER_S, 100 * NS_PER_S, 8, 2);
    cr_expect_eq(loss_span_ppm(&span), 250000);
    loss_span_take_back(&span);
    cr_expect_eq(loss_span_ppm(&span), 125000, "one was only late");
    loss_span_count(&span, 20 * NS_PER_S, 119 * NS_PER_S, 8, 0);
    cr_expect_eq(loss_span_ppm(&span), 62500, "nearly the length later both count");
    loss_span_count(&span, 20 * NS_PER_S, 120 * NS_PER_S, 8, 4);
    cr_expect_eq(loss_span_ppm(&span), 250000, "the first is forgotten");
    loss_span_count(&span, 20 * NS_PER_S, 1000 * NS_PER_S, 10, 1);
    cr_expect_eq(loss_span_ppm(&span), 100000, "all of them");
    loss_span_take_back(&span);
    loss_span_take_back(&span);
    cr_expect_eq(loss_span_ppm(&span), 0, "no less than none");
}

/* --- alarms of a path that is asked every 50 ms --- */

/*
 * A TCP connection over it, which sends all the time. What is lost, and lost again when those behind it tell so, is sent
 * again after 200 ms, and then after twice as long each time (RFC 6298 section 5). Times are in intervals.
 */
#define SEGMENTS 5 /* in an interval */
#define RTO      4
#define TIMEOUT  2 /* select-timeout */
struct connection {
    unsigned waits;  /* for so long; 0: it does not */
    unsigned next;   /* when it sends again */
    bool answered;   /* a request was, since it waits */
    unsigned vainly; /* so long ago it sent again in vain though requests were answered; 0: it did not */
};

struct watched {
    struct loss_span span;
    struct loss_test test;
    struct connection connection;
    uint64_t now_ns, random;
    uint32_t run;
    bool burst;
};

static double unit(struct watched *w)
{
    return random_unit(random_next(&w->random));
}

/* One request. As path health does it: a run of losses is told when an answer has ended it. */
static bool ask(struct watched *w, bool lost)
{
    w->now_ns += INTERVAL_NS;
    if (lost) {
        w->run++;
        return false;
    }
    if (w->run)
        loss_test_loss(&w->test, BAD_PERCENT, w->run, &w->span);
    loss_span_count(&w->span, HOLD_NS, w->now_ns, w->run + 1, w->run);
    w->run = 0;
    loss_test_answer(&w->test, BAD_PERCENT);
    return loss_test_alarms(&w->test, BAD_PERCENT, INTERVAL_NS, 0);
}

struct process {
    const char *name;
    double loss, enter, leave; /* of each request; of bursts in which all is lost */
};

static bool is_lost(struct watched *w, double loss)
{
    return w->burst || unit(w) < loss;
}

static bool next_is_lost(struct watched *w, const struct process *process)
{
    w->burst = w->burst ? unit(w) >= process->leave : unit(w) < process->enter;
    return is_lost(w, process->loss);
}

/* An interval of the connection, in which a request was answered or not. Is it held up (route/decide/witness.h)? */
static bool transmit(struct watched *w, double loss, bool answered)
{
    struct connection *c = &w->connection;

    if (!c->waits) {
        for (unsigned i = 0; i < SEGMENTS && !c->waits; i++)
            if (is_lost(w, loss) && is_lost(w, loss))
                *c = (struct connection){.waits = 1, .next = RTO};
        return false;
    }
    c->answered = c->answered || answered;
    if (++c->waits == c->next) {
        if (!is_lost(w, loss))
            *c = (struct connection){0};
        else if (c->answered && !c->vainly)
            c->vainly = 1;
        c->next = 2 * c->next + RTO;
    } else if (c->vainly) {
        c->vainly++;
    }
    return c->vainly > TIMEOUT;
}

/* An interval: is it an alarm, by requests alone or by the connection, too? */
static bool pass_interval(struct watched *w, double loss, bool lost, bool connected)
{
    bool alarm = ask(w, lost);

    return alarm || (connected && transmit(w, loss, !lost) &&
                     loss_test_alarms(&w->test, BAD_PERCENT, INTERVAL_NS, HEALTH_DOUBT_LOSSES));
}

static unsigned alarms(const struct process *process, double days, bool connected)
{
    struct watched w = {.now_ns = NS_PER_S, .random = 7};
    uint64_t end_ns = w.now_ns + (uint64_t)(days * 86400e9);
    unsigned count = 0;

    while (w.now_ns < end_ns) {
        if (!pass_interval(&w, process->loss, next_is_lost(&w, process), connected))
            continue;
        count++;
        w.test = (struct loss_test){0};
    }
    return count;
}

Test(loss, no_alarm_for_what_is_usual, .timeout = 600)
{
    static const struct process processes[] = {
        {.name = "1 %, as in nested", .loss = 0.01},
        {.name = "5 %, 2 % of it in bursts, as in lossy", .loss = 0.03, .enter = 0.005, .leave = 0.25},
        {.name = "10 %", .loss = 0.1},
        {.name = "a fifth", .loss = 0.2},
    };
    const char *text = getenv("REROUTE_TEST_DAYS");
    double days = text ? atof(text) : 30;

    for (size_t i = 0; i < ARRAY_SIZE(processes); i++)
        for (int connected = 0; connected < 2; connected++)
            cr_expect_eq(alarms(&processes[i], days, connected), 0, "%s%s", processes[i].name,
                         connected ? ", with a connection" : "");
}

/* Ten per cent more every half second: over in five seconds. When is it an alarm? */
static double rising(uint64_t seed, bool connected)
{
    struct watched w = {.now_ns = NS_PER_S, .random = seed};
    unsigned step = 0;

    for (unsigned i = 0; i < 600; i++)
        ask(&w, false);
    while (step < 100) {
        double loss = 0.1 * (1 + step / 10);

        if (pass_interval(&w, loss, unit(&w) < loss, connected))
            break;
        step++;
    }
    return step * 0.05;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

#define RUNS 401

static void sort_rising(double seconds[RUNS], bool connected)
{
    for (size_t i = 0; i < RUNS; i++)
        seconds[i] = rising(i + 1, connected);
    qsort(seconds, RUNS, sizeof(seconds[0]), by_size);
}

Test(loss, an_alarm_before_half_is_lost)
{
    double seconds[RUNS];

    sort_rising(seconds, false);
    cr_expect_lt(seconds[200], 2.0, "half of the time at 40 %% loss: %.2f s", seconds[200]);
    cr_expect_lt(seconds[380], 3.0, "19 of 20 times at 60 %%: %.2f s", seconds[380]);
}

Test(loss, a_connection_that_is_held_up_makes_it_sooner)
{
    double alone[RUNS], connected[RUNS];

    sort_rising(alone, false);
    sort_rising(connected, true);
    cr_expect_leq(connected[200], alone[200] - 0.2, "%.2f s, %.2f s without it", connected[200], alone[200]);
    cr_expect_leq(connected[380], alone[380] - 0.2, "%.2f s, %.2f s without it", connected[380], alone[380]);
}
