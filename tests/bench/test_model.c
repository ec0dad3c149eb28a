/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves that the model does what a profile says: shares, distributions, bursts, spikes and limits by
 * statistics over many requests with fixed seeds, so that a result is the same each time; and that the same
 * seed gives the same fate, whatever else the profile or other rules hold.
 *
 * Tolerances are five standard deviations of the estimate.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "bench/responder/responder.h"

#define MANY       200000
#define SEED       7
#define SIZE_BYTES 84

static struct responder_rule rule_of(const char *profile, uint64_t seed)
{
    struct responder_rule rule;
    char text[256], message[512] = "";

    snprintf(text, sizeof(text), "10.0.0.0/8=%s", profile);
    cr_assert_eq(responder_rule_parse(&rule, text, message, sizeof(message)), 0, "%s", message);
    rule.key = responder_rule_key(&rule.prefix, seed);
    return rule;
}

/* The nth address of the prefix. */
static struct address address_of(uint32_t n)
{
    struct address address = {.family = AF_INET, .bytes = {10, n >> 16 & 0xff, n >> 8 & 0xff, n & 0xff}};

    return address;
}

static struct responder_request request_of(uint64_t number, uint64_t at_ns, uint32_t address)
{
    return (struct responder_request){
        .number = number, .at_ns = at_ns, .address = address_of(address), .size_bytes = SIZE_BYTES};
}

static struct responder_fate decide(const struct responder_rule *rule, uint64_t number, uint64_t at_ns)
{
    struct responder_request request = request_of(number, at_ns, 1);

    return responder_decide(rule, &request, NULL);
}

static void expect_share(double count, double of, double share, const char *what)
{
    double tolerance = 5 * sqrt(share * (1 - share) / of) + 1e-12;

    cr_expect(fabs(count / of - share) <= tolerance, "%s: %.5f, expected %.5f +- %.5f", what, count / of,
              share, tolerance);
}

/* --- shares ----------------------------------------------------------------------------------------------*/

static bool is_lost(const struct responder_fate *f)
{
    return f->verdict == RESPONDER_LOST;
}
static bool is_error(const struct responder_fate *f)
{
    return f->verdict == RESPONDER_ERROR && f->error == RESPONDER_ERROR_ADMIN;
}
static bool is_duplicate(const struct responder_fate *f)
{
    return f->duplicate;
}
static bool is_late(const struct responder_fate *f)
{
    return f->late && f->delay_ns == 2 * NS_PER_S;
}
static bool is_reordered(const struct responder_fate *f)
{
    return f->reordered && f->delay_ns == 0;
}
static bool is_corrupt(const struct responder_fate *f)
{
    return f->corruption == RESPONDER_CORRUPT_TOKEN;
}
static bool is_truncated(const struct responder_fate *f)
{
    return f->truncated;
}
static bool is_elsewhere(const struct responder_fate *f)
{
    return f->wrong_source;
}

Test(model, shares)
{
    static const struct {
        const char *profile;
        bool (*is)(const struct responder_fate *fate);
        double share;
    } rows[] = {
        {"loss=0", is_lost, 0},
        {"loss=0.1%", is_lost, 0.001},
        {"loss=5%", is_lost, 0.05},
        {"loss=50%", is_lost, 0.5},
        {"loss=1", is_lost, 1},
        {"error=admin:30%", is_error, 0.3},
        {"error=admin", is_error, 1},
        {"loss=50%,error=admin:50%", is_error, 0.25},
        {"duplicate=2%", is_duplicate, 0.02},
        {"delay=1ms,late=3%:2s", is_late, 0.03},
        {"delay=1ms,reorder=4%", is_reordered, 0.04},
        {"delay=1ms,late=50%:2s,reorder=50%", is_reordered, 0.25},
        {"corrupt=5%:token", is_corrupt, 0.05},
        {"truncate=6%", is_truncated, 0.06},
        {"wrong-source=7%", is_elsewhere, 0.07},
        {"error=admin,duplicate=1,corrupt=1:token,truncate=1,wrong-source=1", is_duplicate, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct responder_rule rule = rule_of(rows[i].profile, SEED);
        uint64_t count = 0;

        for (uint64_t n = 0; n < MANY; n++) {
            struct responder_fate fate = decide(&rule, n, 0);

            count += rows[i].is(&fate);
        }
        expect_share((double)count, MANY, rows[i].share, rows[i].profile);
    }
}

Test(model, losses_are_independent_of_each_other_and_of_everything_else)
{
    struct responder_rule rule = rule_of("loss=20%,duplicate=20%,truncate=20%", SEED);
    uint64_t pairs = 0, both = 0, replies = 0;
    bool before = false;

    for (uint64_t n = 0; n < MANY; n++) {
        struct responder_fate fate = decide(&rule, n, 0);

        pairs += before && is_lost(&fate);
        before = is_lost(&fate);
        replies += !before;
        both += fate.duplicate && fate.truncated;
    }
    expect_share((double)pairs, MANY, 0.04, "two losses in a row");
    expect_share((double)both, (double)replies, 0.04, "duplicate and truncated");
}

/* --- delays ----------------------------------------------------------------------------------------------*/

static int by_size(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

Test(model, delays_have_the_quantiles_of_their_distribution)
{
    static const struct {
        const char *profile;
        double share, ms, tolerance; /* relative */
    } rows[] = {
        {"delay=1ms", 0.0001, 1, 0},
        {"delay=1ms", 0.9999, 1, 0},
        {"delay=normal:10ms:1ms", 0.01, 10 - 2.326, 0.005},
        {"delay=normal:10ms:1ms", 0.16, 10 - 0.9945, 0.005},
        {"delay=normal:10ms:1ms", 0.5, 10, 0.005},
        {"delay=normal:10ms:1ms", 0.99, 10 + 2.326, 0.005},
        {"delay=normal:10ms:1ms", 0.999, 10 + 3.09, 0.01},
        {"delay=normal:0ms:1ms", 0.49, 0, 0},
        {"delay=normal:0ms:1ms", 0.99, 2.326, 0.02},
        {"delay=lognormal:2ms:5ms", 0.01, 0.8, 0.02},
        {"delay=lognormal:2ms:5ms", 0.5, 2, 0.01},
        {"delay=lognormal:2ms:5ms", 0.99, 5, 0.02},
    };
    uint64_t *delays = calloc(MANY, sizeof(*delays));

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct responder_rule rule = rule_of(rows[i].profile, SEED);
        double got_ms;

        for (uint64_t n = 0; n < MANY; n++)
            delays[n] = decide(&rule, n, 0).delay_ns;
        qsort(delays, MANY, sizeof(*delays), by_size);
        got_ms = (double)delays[(size_t)(rows[i].share * MANY)] / 1e6;
        cr_expect(fabs(got_ms - rows[i].ms) <= rows[i].tolerance * rows[i].ms,
                  "%s: the %g quantile is %.4f ms", rows[i].profile, rows[i].share, got_ms);
    }
    free(delays);
}

/* --- bursts ----------------------------------------------------------------------------------------------*/

Test(model, bursts_are_as_frequent_and_as_long_as_their_parameters_say)
{
    struct responder_rule rule = rule_of("burst=1%:25%", SEED);
    struct responder_memory memory = {0};
    uint64_t lost = 0, bursts = 0;
    bool before = false;

    for (uint64_t n = 0; n < MANY; n++) {
        struct responder_request request = request_of(n, 0, 1);
        bool now = responder_decide(&rule, &request, &memory).verdict == RESPONDER_BURST;

        lost += now;
        bursts += now && !before;
        before = now;
    }
    /* In the long run 0.01 / (0.01 + 0.25) of the requests meet a bad line; a burst lasts 1 / 0.25 requests.
     * Losses of one burst go together, which widens the tolerance. */
    cr_expect(fabs((double)lost / MANY - 0.03846) < 0.006, "lost: %.5f", (double)lost / MANY);
    cr_expect(fabs((double)lost / (double)bursts - 4) < 0.2, "length: %.3f", (double)lost / (double)bursts);
}

Test(model, loss_depends_on_the_state_of_the_line)
{
    struct responder_rule rule = rule_of("burst=10%:10%:80%:20%", SEED);
    struct responder_memory memory = {0};
    double seen[3] = {0}, lost[3] = {0};

    for (uint64_t n = 0; n < MANY; n++) {
        struct responder_request request = request_of(n, 0, 1);
        bool is = responder_decide(&rule, &request, &memory).verdict == RESPONDER_BURST;

        seen[memory.burst]++;
        lost[memory.burst] += is;
    }
    cr_expect_eq(seen[0], 0);
    expect_share(lost[1], seen[1], 0.2, "loss while good");
    expect_share(lost[2], seen[2], 0.8, "loss while bad");
    cr_expect(fabs(seen[2] / MANY - 0.5) < 0.02, "bad: %.4f", seen[2] / MANY);
}

Test(model, an_address_is_met_in_the_middle_of_its_history)
{
    struct responder_rule rule = rule_of("burst=1%:4%", SEED);
    uint64_t lost = 0;

    for (uint64_t n = 0; n < MANY; n++) {
        struct responder_request request = request_of(n, 0, (uint32_t)n);
        struct responder_memory memory = {0};

        lost += responder_decide(&rule, &request, &memory).verdict == RESPONDER_BURST;
    }
    expect_share((double)lost, MANY, 0.2, "first requests that meet a bad line");
}

/* --- spikes ----------------------------------------------------------------------------------------------*/

Test(model, a_spike_holds_answers_back_until_its_end)
{
    struct responder_rule rule = rule_of("spike=300ms:10s,delay=1ms", SEED);
    uint64_t spiked = 0, starts = 0, end_ns = 0, step_ns = 5 * NS_PER_MS;

    for (uint64_t n = 0; n < MANY; n++) {
        uint64_t at_ns = n * step_ns;
        struct responder_fate fate = decide(&rule, n, at_ns);

        if (!fate.spiked) {
            cr_assert_eq(fate.delay_ns, NS_PER_MS);
            cr_assert(end_ns <= at_ns, "the spike goes on until its end");
            continue;
        }
        spiked++;
        if (at_ns > end_ns)
            starts++;
        else
            cr_assert_geq(at_ns + fate.delay_ns - NS_PER_MS, end_ns, "never shorter than it was");
        end_ns = at_ns + fate.delay_ns - NS_PER_MS;
        cr_assert_leq(fate.delay_ns, 301 * NS_PER_MS);
    }
    /* 1,000 s: 100 spikes expected, each spoils 3 % of 10 s; some overlap. */
    cr_expect(starts > 60 && starts < 140, "spikes: %" PRIu64, starts);
    cr_expect(fabs((double)spiked / MANY - 0.03) < 0.01, "time in spikes: %.4f", (double)spiked / MANY);
}

Test(model, addresses_spike_at_different_times)
{
    struct responder_rule rule = rule_of("spike=300ms:3s", SEED);
    uint64_t spiked = 0;

    for (uint32_t n = 0; n < MANY; n++) {
        struct responder_request request = request_of(n, 100 * NS_PER_S, n);

        spiked += responder_decide(&rule, &request, NULL).spiked;
    }
    /* 1 - exp(-0.1), but for the cells. */
    cr_expect(fabs((double)spiked / MANY - 0.095) < 0.01, "at one moment: %.4f", (double)spiked / MANY);
}

/* --- addresses -------------------------------------------------------------------------------------------*/

Test(model, an_address_is_dead_for_good)
{
    struct responder_rule rule = rule_of("dead=10%", SEED), other = rule_of("dead=10%", SEED + 1);
    uint64_t dead = 0, in_both = 0;

    for (uint32_t n = 0; n < MANY; n++) {
        struct address address = address_of(n);
        bool is = responder_is_dead(&rule, &address);

        dead += is;
        in_both += is && responder_is_dead(&other, &address);
        for (uint64_t k = 0; k < 3; k++) {
            struct responder_request request = request_of(k * 1000 + n, k * NS_PER_S, n);

            cr_assert_eq(responder_decide(&rule, &request, NULL).verdict == RESPONDER_DEAD, is);
        }
    }
    expect_share((double)dead, MANY, 0.1, "dead addresses");
    expect_share((double)in_both, MANY, 0.01, "dead with another seed too");
}

Test(model, an_address_answers_so_many_times_a_second)
{
    struct responder_rule rule = rule_of("limit=3", SEED);
    struct responder_memory memories[2] = {0};
    uint64_t answers[2][5] = {0};

    for (uint64_t n = 0; n < 100; n++) {
        for (uint32_t a = 0; a < 2; a++) {
            struct responder_request request = request_of(2 * n + a, n * 50 * NS_PER_MS, a);
            enum responder_verdict verdict = responder_decide(&rule, &request, &memories[a]).verdict;

            cr_assert(verdict == RESPONDER_REPLY || verdict == RESPONDER_LIMITED);
            answers[a][n / 20] += verdict == RESPONDER_REPLY;
        }
    }
    for (size_t a = 0; a < 2; a++)
        for (size_t second = 0; second < 5; second++)
            cr_expect_eq(answers[a][second], 3);
}

Test(model, size_matters_only_where_fragmenting_is_forbidden)
{
    static const struct {
        const char *profile;
        uint32_t size_bytes;
        bool dont_fragment;
        enum responder_verdict want;
    } rows[] = {
        {"mtu=1400", 1400, true, RESPONDER_REPLY},        {"mtu=1400", 1401, true, RESPONDER_ERROR},
        {"mtu=1400", 1401, false, RESPONDER_REPLY},       {"mtu=1400:drop", 1400, true, RESPONDER_REPLY},
        {"mtu=1400:drop", 1401, true, RESPONDER_TOO_BIG}, {"mtu=1400:drop", 1401, false, RESPONDER_REPLY},
        {"mtu=1400,dead", 1401, true, RESPONDER_DEAD},    {"mtu=1400,loss=1", 1401, true, RESPONDER_LOST},
        {"perfect", 65535, true, RESPONDER_REPLY},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct responder_rule rule = rule_of(rows[i].profile, SEED);
        struct responder_request request = request_of(0, 0, 1);
        struct responder_fate fate;

        request.size_bytes = rows[i].size_bytes;
        request.dont_fragment = rows[i].dont_fragment;
        fate = responder_decide(&rule, &request, NULL);
        cr_expect_eq(fate.verdict, rows[i].want, "row %zu", i);
        if (fate.verdict == RESPONDER_ERROR)
            cr_expect_eq(fate.error, RESPONDER_ERROR_FRAG_NEEDED);
    }
}

/* --- repeatability ---------------------------------------------------------------------------------------*/

#define EVERYTHING                                                                                       \
    "delay=lognormal:2ms:5ms,spike=300ms:10s,late=1%:1s,reorder=1%,loss=5%,burst=1%:25%:90%:1%,dead=1%," \
    "limit=50,error=host:1%,duplicate=1%,corrupt=1%,truncate=1%,wrong-source=1%"

static bool same(const struct responder_fate *a, const struct responder_fate *b)
{
    return a->verdict == b->verdict && a->error == b->error && a->delay_ns == b->delay_ns &&
           a->spiked == b->spiked && a->late == b->late && a->reordered == b->reordered &&
           a->duplicate == b->duplicate && a->truncated == b->truncated &&
           a->wrong_source == b->wrong_source && a->corruption == b->corruption && a->noise == b->noise;
}

/* How many of the requests meet the same fate under both rules. */
static uint64_t agreement(const struct responder_rule *a, const struct responder_rule *b)
{
    static struct responder_memory memories_a[1000], memories_b[1000];
    uint64_t count = 0;

    memset(memories_a, 0, sizeof(memories_a));
    memset(memories_b, 0, sizeof(memories_b));
    for (uint64_t n = 0; n < MANY; n++) {
        struct responder_request request = request_of(n, n * 100 * NS_PER_US, n % 1000);
        struct responder_fate x = responder_decide(a, &request, &memories_a[n % 1000]);
        struct responder_fate y = responder_decide(b, &request, &memories_b[n % 1000]);

        count += same(&x, &y);
    }
    return count;
}

Test(model, the_same_seed_gives_the_same_fate)
{
    struct responder_rule one = rule_of(EVERYTHING, SEED), again = rule_of(EVERYTHING, SEED);
    struct responder_rule other = rule_of(EVERYTHING, SEED + 1);

    cr_expect_eq(agreement(&one, &again), MANY);
    cr_expect_lt(agreement(&one, &other), MANY / 2);
}

/* A change of the hash would make recorded seeds meaningless: what is known today stays. */
Test(model, a_seed_keeps_its_meaning)
{
    static const uint64_t lost[] = {24, 102, 112, 125, 138};
    struct responder_rule rule = rule_of("loss=2%", SEED);
    size_t found = 0;

    for (uint64_t n = 0; found < ARRAY_SIZE(lost); n++)
        if (decide(&rule, n, 0).verdict == RESPONDER_LOST)
            cr_assert_eq(n, lost[found++]);
}

Test(model, a_feature_does_not_change_the_course_of_the_others)
{
    struct responder_rule plain = rule_of("delay=normal:10ms:1ms,duplicate=10%", SEED);
    struct responder_rule lossy = rule_of("delay=normal:10ms:1ms,duplicate=10%,loss=50%,corrupt=50%", SEED);

    for (uint64_t n = 0; n < 10000; n++) {
        struct responder_fate a = decide(&plain, n, 0), b = decide(&lossy, n, 0);

        if (b.verdict != RESPONDER_REPLY)
            continue;
        cr_assert_eq(a.delay_ns, b.delay_ns);
        cr_assert_eq(a.duplicate, b.duplicate);
    }
}

Test(model, prefixes_have_courses_of_their_own)
{
    struct responder_rule a = rule_of("loss=50%", SEED), b = a;
    uint64_t same_count = 0;

    b.prefix.length = 9;
    b.key = responder_rule_key(&b.prefix, SEED);
    for (uint64_t n = 0; n < MANY; n++)
        same_count += decide(&a, n, 0).verdict == decide(&b, n, 0).verdict;
    expect_share((double)same_count, MANY, 0.5, "agreement by chance");
}
