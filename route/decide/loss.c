/* SPDX-License-Identifier: Apache-2.0 */
#include "route/decide/loss.h"

#include <math.h>

#define YEAR_S      (365.25 * 86400)
#define USUAL_LEAST 0.003
#define NEWEST      20  /* requests */
#define RISE_MOST   200 /* answers */

/* --- over a sliding span --- */

static void advance(struct loss_span *span, uint64_t length_ns, uint64_t now_ns)
{
    uint64_t width_ns = max_u64(length_ns / LOSS_BUCKETS, 1);

    if (!span->begun_ns) {
        *span = (struct loss_span){.begun_ns = now_ns, .bucket_ns = now_ns};
        return;
    }
    for (unsigned steps = 0; now_ns >= span->bucket_ns + width_ns; steps++) {
        if (steps == LOSS_BUCKETS) {
            span->bucket_ns = now_ns;
            return;
        }
        span->bucket_ns += width_ns;
        span->newest = (span->newest + 1) % LOSS_BUCKETS;
        span->buckets[span->newest].requests = 0;
        span->buckets[span->newest].lost = 0;
    }
}

void loss_span_count(struct loss_span *span, uint64_t length_ns, uint64_t now_ns, uint32_t requests,
                     uint32_t lost)
{
    advance(span, length_ns, now_ns);
    span->buckets[span->newest].requests += requests;
    span->buckets[span->newest].lost += lost;
}

void loss_span_take_back(struct loss_span *span)
{
    for (unsigned age = 0; age < LOSS_BUCKETS; age++) {
        unsigned i = (span->newest + LOSS_BUCKETS - age) % LOSS_BUCKETS;

        if (span->buckets[i].lost) {
            span->buckets[i].lost--;
            return;
        }
    }
}

static uint64_t count_requests(const struct loss_span *span, uint64_t *lost)
{
    uint64_t requests = 0;

    *lost = 0;
    for (unsigned i = 0; i < LOSS_BUCKETS; i++) {
        requests += span->buckets[i].requests;
        *lost += span->buckets[i].lost;
    }
    return requests;
}

uint32_t loss_span_ppm(const struct loss_span *span)
{
    uint64_t lost, requests = count_requests(span, &lost);

    return requests ? (uint32_t)(lost * 1000000 / requests) : 0;
}

/* --- too much --- */

static double usual_of(const struct loss_span *span, double bad)
{
    uint64_t lost, requests = count_requests(span, &lost);

    return fmin(fmax(((double)lost + 1) / ((double)requests + 10), USUAL_LEAST), bad / 2);
}

static double bad_of(uint32_t bad_percent)
{
    return (double)bad_percent / 100;
}

static double weight_of_loss(const struct loss_test *test, double bad)
{
    return log(bad / test->usual);
}

static void remember(struct loss_test *test, bool lost)
{
    test->newest = (test->newest << 1 | lost) & ((UINT32_C(1) << NEWEST) - 1);
}

void loss_test_answer(struct loss_test *test, uint32_t bad_percent)
{
    remember(test, false);
    if (++test->answers > RISE_MOST)
        test->sum = 0;
    if (test->sum > 0)
        test->sum = fmax(0, test->sum + log((1 - bad_of(bad_percent)) / (1 - test->usual)));
}

void loss_test_loss(struct loss_test *test, uint32_t bad_percent, uint32_t lost, const struct loss_span *span)
{
    for (uint32_t i = 0; i < min_u64(lost, NEWEST); i++)
        remember(test, true);
    if (test->sum <= 0) {
        test->usual = usual_of(span, bad_of(bad_percent));
        test->answers = 0;
    }
    test->sum += weight_of_loss(test, bad_of(bad_percent));
}

void loss_test_take_back(struct loss_test *test, uint32_t bad_percent)
{
    test->newest &= test->newest - 1;
    if (test->sum > 0)
        test->sum = fmax(0, test->sum - weight_of_loss(test, bad_of(bad_percent)));
}

bool loss_test_alarms(const struct loss_test *test, uint32_t bad_percent, uint64_t interval_ns, uint32_t more)
{
    double requests = YEAR_S / ((double)interval_ns / 1e9), bad = bad_of(bad_percent);
    uint32_t lost = (uint32_t)__builtin_popcount(test->newest);

    return lost && test->sum > 0 && (lost + more) * 100 >= bad_percent * NEWEST &&
           test->sum + more * weight_of_loss(test, bad) >= log(requests * bad / LOSS_FALSE_A_YEAR);
}
