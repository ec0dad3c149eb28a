/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/meter/writes.h"

#include <sys/random.h>

int writes_begin(struct writes *w, const char *stream, const char *service)
{
    if (getrandom(&w->token, sizeof(w->token), 0) < 0)
        return -errno;
    w->figures.stream = stream;
    w->started_ns = clock_now_ns(CLOCK_MONOTONIC);
    printf("{\"event\":\"start\",\"at\":%.6f,\"service\":\"%s\"}\n", seconds(w->started_ns), service);
    fflush(stdout);
    return 0;
}

static uint64_t silence_ns(const struct writes *w, uint64_t now_ns)
{
    return now_ns - max_u64(w->figures.last_arrived_ns, w->started_ns);
}

static void interrupted(struct writes *w, uint64_t until_ns, bool open)
{
    w->run.from_ns = w->issued_ns;
    w->run.until_ns = until_ns;
    w->run.silence_ns = silence_ns(w, until_ns);
    w->run.own_ns = w->stalls.total_ns - w->issued_stalls_ns;
    w->run.open = open;
    meter_interrupted(&w->figures, &w->run);
}

static bool took_long(const struct writes *w, uint64_t now_ns)
{
    uint64_t own_ns = w->stalls.total_ns - w->issued_stalls_ns;

    return w->run.breaks || sub_sat_u64(now_ns - w->issued_ns, own_ns) > METER_HITCH_NS;
}

bool writes_issue(struct writes *w, uint64_t now_ns, uint8_t *block)
{
    w->issued++;
    w->issued_ns = now_ns;
    w->issued_stalls_ns = w->stalls.total_ns;
    w->figures.sent++;
    block_fill(block, w->token, w->issued);
    return w->issued > BLOCKS;
}

void writes_acknowledge(struct writes *w, uint64_t now_ns)
{
    if (w->figures.started && took_long(w, now_ns))
        interrupted(w, now_ns, false);
    w->figures.longest_silence_ns = max_u64(w->figures.longest_silence_ns, silence_ns(w, now_ns));
    w->run = (struct meter_interruption){0};
    w->acknowledged = w->issued;
    meter_arrived(&w->figures, now_ns);
}

void writes_cut_off(struct writes *w, uint64_t now_ns)
{
    interrupted(w, now_ns, true);
    w->unread = (unsigned)writes_places(w);
}

uint64_t writes_places(const struct writes *w)
{
    return min_u64(w->issued + 1, BLOCKS); /* place 0 comes last */
}

void writes_judge(struct writes *w, uint64_t place, const uint8_t *block)
{
    w->verdicts[block_judge(block, w->token, place, w->acknowledged, w->issued)]++;
}

void writes_summary(const struct writes *w)
{
    printf("{\"event\":\"summary\",\"elapsed_s\":%.3f,",
           seconds(clock_now_ns(CLOCK_MONOTONIC) - w->started_ns));
    meter_print_figures(&w->figures);
    printf(",\"breaks\":%u,\"blocks\":{\"good\":%u,\"lost\":%u,\"damaged\":%u,\"unread\":%u}},", w->breaks,
           w->verdicts[BLOCK_GOOD], w->verdicts[BLOCK_LOST], w->verdicts[BLOCK_DAMAGED], w->unread);
    meter_print_stalls(&w->stalls);
    puts("}");
    fflush(stdout);
}
