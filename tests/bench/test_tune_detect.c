/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: a trace seen by route/tune/detect.h gives, observation by observation, what a probe stream
 * reports that meets the same network, for every select-timeout, with late replies beyond what a stream
 * remembers, ICMP errors and refused sends; the watch records what a network does to its requests, blames it
 * for nothing that this host did, and ends early with what it has; true failures and spoilt requests do not
 * count; and 24 hours of the nested profile at 100 ms x 10 bring no needless failover, while faster settings
 * fail there.
 */
#include <criterion/criterion.h>
#include <netinet/ip_icmp.h>

#include "bench/tune/clean.h"
#include "bench/tune/simulation.h"
#include "bench/tune/validate.h"
#include "bench/tune/watch.h"
#include "probe/stream.h"

#define INTERVAL_US UINT64_C(10000)
#define REQUESTS    12000

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* --- the replay against the stream -----------------------------------------------------------------------*/

struct seen {
    enum probe_outcome outcome;
    uint64_t sent_us, at_us; /* since the beginning */
};

struct log {
    struct seen *rows;
    size_t count;
};

static void note(struct log *log, const struct probe_observation *observation, uint64_t began_ns)
{
    if ((log->count & (log->count - 1)) == 0)
        log->rows = realloc(log->rows, 2 * (log->count + 1) * sizeof(*log->rows));
    log->rows[log->count++] = (struct seen){.outcome = observation->outcome,
                                            .sent_us = (observation->sent_ns - began_ns) / 1000,
                                            .at_us = (observation->at_ns - began_ns) / 1000};
}

/* Usual, slow and very slow replies, loss alone and in bursts, standstills, errors, refusals. */
static void make_path(struct trace_path *path, uint32_t seed)
{
    uint32_t state = seed, bad = 0, still = 0;

    *path = (struct trace_path){0};
    for (uint64_t i = 0; i < REQUESTS; i++) {
        struct trace_request request = {.sent_us = (i * INTERVAL_US) & TRACE_SENT_MAX_US};
        uint32_t dice = next(&state) % 1000;

        bad = bad ? bad - 1 : dice < 3 ? next(&state) % 300 : 0;
        still = still ? still - 1 : dice > 996 ? next(&state) % 250 : 0;
        /* No two things at one moment: microseconds of a request are its own. */
        request.rtt_us = (1 + next(&state) % 4) * 1000 + 1 + i % 977;
        if (bad || dice < 30)
            request.fate = TRACE_LOST;
        else if (still)
            request.rtt_us = still * INTERVAL_US + 1 + i % 977;
        else if (dice < 60)
            request.rtt_us = 1000 + next(&state) % 2900 * 1000 + i % 977;
        else if (dice < 70)
            request.fate = TRACE_ERROR;
        else if (dice < 80)
            request.fate = TRACE_REFUSED;
        if (request.fate == TRACE_LOST || request.fate == TRACE_REFUSED)
            request.rtt_us = 0;
        cr_assert_eq(trace_add(path, request), 0);
    }
}

static void note_replayed(void *context, const struct probe_observation *observation, size_t request)
{
    note(context, observation, DETECT_BEGIN_NS);
}

static void no_restart(void *context)
{
    cr_assert(false, "there is no gap");
}

struct played {
    const struct trace_path *path;
    uint64_t began_ns;
};

static int play(void *context, struct simulated *network, const struct packet_out *packet)
{
    const struct played *played = context;
    uint64_t at_us = (simulated_now_ns(network) - played->began_ns) / NS_PER_US;
    const struct trace_request *request = &played->path->requests[at_us / INTERVAL_US];
    uint64_t rtt_ns = request->rtt_us * NS_PER_US;

    cr_assert_eq(request->sent_us, at_us);
    switch ((enum trace_fate)request->fate) {
    case TRACE_REPLY:
        return -simulated_reply(network, packet, rtt_ns);
    case TRACE_ERROR:
        return -simulated_error(network, packet, &packet->to, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0,
                                packet->size_bytes, rtt_ns);
    case TRACE_REFUSED:
        return ENETUNREACH;
    default:
        return 0;
    }
}

static void run_stream(struct log *log, const struct trace_path *path, uint64_t select_timeout_us)
{
    struct played played = {.path = path};
    struct simulated_script script = {.request = play, .context = &played};
    struct probe_settings settings = probe_settings_default();
    struct probe_stream_target target = {.interval_ns = detect_pace_us(select_timeout_us) * NS_PER_US};
    struct transport *transport;
    struct probe_stream *stream;
    struct probe_observation observation;
    uint64_t end_ns;
    uint32_t id;

    settings.select_timeout_ns = select_timeout_us * NS_PER_US;
    settings.select_count = 10;
    cr_assert_eq(simulated_open(&transport, &script), 0);
    played.began_ns = simulated_now_ns(simulated_of(transport));
    end_ns = played.began_ns + (path->count * INTERVAL_US - 1) * NS_PER_US;
    cr_assert_eq(probe_stream_new_over(&stream, &settings, transport), 0);
    cr_assert_eq(address_parse(&target.address, "10.0.0.1"), 0);
    cr_assert_eq(probe_stream_add(stream, &target, &id), 0);
    while (probe_stream_now_ns(stream) < end_ns) {
        cr_assert_eq(probe_stream_dispatch(stream), 0);
        while (probe_stream_next(stream, &observation))
            note(log, &observation, played.began_ns);
        cr_assert_eq(
            transport->operations->wait(transport, min_u64(end_ns, probe_stream_deadline_ns(stream)), -1), 0);
    }
    probe_stream_free(stream);
}

/*
 * The two tell things of one request and the next at the same moment in an order of their own (the next is
 * sent when the wait of the last one ends): by time, then by request.
 */
static int compare_seen(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;

    if (x->at_us != y->at_us)
        return x->at_us < y->at_us ? -1 : 1;
    return (x->sent_us > y->sent_us) - (x->sent_us < y->sent_us);
}

Test(detect, sees_what_a_stream_reports)
{
    static const uint64_t timeouts_us[] = {20000, 40000, 60000, 100000, 300000, 1000000};
    unsigned kinds[PROBE_SEND_FAILED + 1] = {0};

    for (uint32_t i = 0; i < ARRAY_SIZE(timeouts_us); i++) {
        struct log stream = {0}, replay = {0};
        struct trace_path path;
        struct detect_requests requests;
        const struct detect_observer observer = {
            .observe = note_replayed, .restart = no_restart, .context = &replay};
        size_t count;

        make_path(&path, i + 1);
        requests = trace_requests(&path, INTERVAL_US);
        run_stream(&stream, &path, timeouts_us[i]);
        detect_replay(&requests, timeouts_us[i], 0, &observer);
        for (size_t k = 1; k < replay.count; k++)
            cr_assert_leq(replay.rows[k - 1].at_us, replay.rows[k].at_us, "in order of time");
        qsort(stream.rows, stream.count, sizeof(struct seen), compare_seen);
        qsort(replay.rows, replay.count, sizeof(struct seen), compare_seen);
        /* Of the last requests the one knows more than the other. */
        for (count = 0; stream.rows[count].at_us < (REQUESTS - 310) * INTERVAL_US; count++)
            ;
        cr_assert(count > 100 && count < min_u64(stream.count, replay.count));
        cr_assert_geq(replay.rows[count].at_us, (REQUESTS - 310) * INTERVAL_US);
        for (size_t k = 0; k < count; k++) {
            const struct seen *a = &stream.rows[k], *b = &replay.rows[k];

            cr_assert(a->outcome == b->outcome && a->sent_us == b->sent_us && a->at_us == b->at_us,
                      "every %" PRIu64 " us: %s of %" PRIu64 " at %" PRIu64 " us, not %s of %" PRIu64
                      " at %" PRIu64,
                      timeouts_us[i], probe_outcome_text(b->outcome), b->sent_us, b->at_us,
                      probe_outcome_text(a->outcome), a->sent_us, a->at_us);
            kinds[a->outcome]++;
        }
        free(stream.rows);
        free(replay.rows);
        free(path.requests);
    }
    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
        if (k != PROBE_DUPLICATE && k != PROBE_FRAG_NEEDED)
            cr_expect_gt(kinds[k], 50, "%s is among them", probe_outcome_text((enum probe_outcome)k));
}

/* --- cleaning --------------------------------------------------------------------------------------------*/

/* Letters of a tenth of a second each: r replies, - lost, x spoilt, u error. */
static struct trace_path path_of(const char *letters)
{
    struct trace_path path = {0};

    for (uint64_t i = 0; letters[i]; i++) {
        struct trace_request request = {.sent_us = (i * 100000) & TRACE_SENT_MAX_US, .rtt_us = 1000};

        request.fate = letters[i] == 'r'   ? TRACE_REPLY
                       : letters[i] == 'u' ? TRACE_ERROR
                       : letters[i] == 'x' ? TRACE_SPOILT
                                           : TRACE_LOST;
        cr_assert_eq(trace_add(&path, request), 0);
    }
    return path;
}

Test(detect, cleans)
{
    static const struct {
        const char *name, *letters;
        size_t left;
        uint64_t failures, failed_ms, watched_ms;
    } rows[] = {
        {"nothing to do", "rrrr-rrrr", 9, 0, 0, 900},
        {"spoilt ones are out", "rrxxr-r", 5, 0, 0, 700},
        {"a second of silence, as a failure", "rr----------rr", 4, 1, 1000, 400},
        {"not quite", "rr---------rr", 13, 0, 0, 1300},
        {"errors are silence", "rr-u-u-u-u-urr", 4, 1, 1000, 400},
        {"at both ends", "----------rr----------", 2, 2, 2000, 200},
        {"spoilt ones do not end it", "r-----x-----r", 2, 1, 1100, 200},
        {"never a reply", "----------", 0, 1, 1000, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct trace_path path = path_of(rows[i].letters);
        struct clean_summary summary;

        cr_assert_eq(clean_path(&path, 100000, 1000000, &summary), 0);
        cr_expect_eq(path.count, rows[i].left, "%s: %zu left", rows[i].name, path.count);
        cr_expect_eq(summary.failures, rows[i].failures, "%s", rows[i].name);
        cr_expect_eq(summary.failed_us, rows[i].failed_ms * 1000, "%s: %" PRIu64, rows[i].name,
                     summary.failed_us);
        cr_expect_eq(summary.watched_us, rows[i].watched_ms * 1000, "%s: %" PRIu64, rows[i].name,
                     summary.watched_us);
        free(path.requests);
    }
}

/* --- the watch -------------------------------------------------------------------------------------------*/

struct watched {
    struct trace trace;
    struct watch_figures figures;
    struct watch_target targets[2];
    uint64_t stop_after_ns;
};

static bool stop_early(void *context, uint64_t done_ns)
{
    return done_ns >= ((struct watched *)context)->stop_after_ns;
}

static void watch_network(struct watched *watched, struct transport *transport, uint64_t duration_ns,
                          uint64_t stop_after_ns)
{
    struct probe_settings probe = probe_settings_default();
    struct watch_settings settings = {.probe = &probe,
                                      .targets = watched->targets,
                                      .duration_ns = duration_ns,
                                      .pause = stop_early,
                                      .context = watched};

    watched->stop_after_ns = stop_after_ns;
    watched->trace = (struct trace){.interval_us = INTERVAL_US, .wait_us = 3000000};
    for (size_t i = 0; i < ARRAY_SIZE(watched->targets); i++) {
        watched->targets[i].address = simulation_address(i);
        cr_assert_eq(trace_add_path(&watched->trace, ADDRESS_TEXT(&watched->targets[i].address), NULL, NULL),
                     0);
    }
    cr_assert_eq(watch_run(&watched->trace, &settings, transport, &watched->figures), 0);
}

static void open_profile(struct transport **transport, struct simulation *simulation, const char *text)
{
    struct responder_profile profile;
    char message[256];

    cr_assert_eq(responder_profile_parse(&profile, text, message, sizeof(message)), 0, "%s", message);
    cr_assert_eq(simulation_open(transport, simulation, &profile, INTERVAL_US * NS_PER_US, 1), 0);
}

Test(watch, records_what_happens)
{
    static struct simulation simulation;
    struct watched watched;
    struct transport *transport;

    open_profile(&transport, &simulation, "delay=2ms,loss=5%,late=1%:1500ms,error=host:1%");
    watch_network(&watched, transport, 100 * NS_PER_S, NEVER_NS);
    for (size_t i = 0; i < 2; i++) {
        struct clean_summary summary;

        cr_expect_eq(watched.trace.paths[i].count, 10000, "on the beat");
        cr_assert_eq(clean_path(&watched.trace.paths[i], INTERVAL_US, 10000000, &summary), 0);
        cr_expect(summary.fates[TRACE_LOST] > 400 && summary.fates[TRACE_LOST] < 600);
        cr_expect(summary.fates[TRACE_ERROR] > 50 && summary.fates[TRACE_ERROR] < 150);
        cr_expect_eq(summary.p50_us, 2000);
        cr_expect_eq(summary.most_us, 1500000, "late ones are waited for");
        cr_expect_eq(summary.fates[TRACE_SPOILT], 0);
    }
    cr_expect(watched.figures.watched_ns >= 99 * NS_PER_S && watched.figures.watched_ns <= 100 * NS_PER_S);
    trace_clear(&watched.trace);
}

Test(watch, ends_early_with_what_it_has)
{
    static struct simulation simulation;
    struct watched watched;
    struct transport *transport;

    open_profile(&transport, &simulation, "delay=2ms,loss=1");
    watch_network(&watched, transport, 3600 * NS_PER_S, 20 * NS_PER_S);
    for (size_t i = 0; i < 2; i++) {
        size_t count = watched.trace.paths[i].count;

        cr_expect(count >= 1690 && count <= 1705, "%zu: the last 3 s are not known", count);
    }
    trace_clear(&watched.trace);
}

static int flood(void *context, struct simulated *network, const struct packet_out *packet)
{
    const uint8_t junk[64] = {0};
    uint64_t *requests = context;

    /* At times somebody else's packets fill the buffer just before the reply. */
    for (int copies = ++*requests % 3000 == 0 ? 400 : 0; copies > 0; copies--)
        simulated_deliver(network, &packet->to, 0, junk, sizeof(junk), NS_PER_MS);
    return -simulated_reply(network, packet, NS_PER_MS);
}

/* Replies that this host dropped: the requests around are no evidence, those before and after are. */
Test(watch, does_not_blame_the_network_for_its_own_drops)
{
    uint64_t requests = 0;
    struct simulated_script script = {.request = flood, .context = &requests, .receive_limit = 64};
    struct watched watched;
    struct transport *transport;
    struct clean_summary summary = {0};
    uint64_t spoilt = 0;

    cr_assert_eq(simulated_open(&transport, &script), 0);
    watch_network(&watched, transport, 60 * NS_PER_S, NEVER_NS);
    cr_expect_gt(watched.figures.receive_drops, 100);
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(clean_path(&watched.trace.paths[i], INTERVAL_US, 10000000, &summary), 0);
        cr_expect_eq(summary.fates[TRACE_LOST], 0);
        spoilt += summary.fates[TRACE_SPOILT];
    }
    cr_expect_eq(spoilt, 4, "each reply that was dropped");
    trace_clear(&watched.trace);
}

/* --- a day -----------------------------------------------------------------------------------------------*/

static struct validate_counts run_nested(uint64_t select_timeout_ms, uint32_t select_count, uint64_t hours)
{
    static struct simulation simulation;
    struct probe_settings probe = probe_settings_default();
    struct health_settings health = {.select_timeout_ns = select_timeout_ms * NS_PER_MS,
                                     .select_count = select_count,
                                     .rise = 3,
                                     .degraded_percent = 30,
                                     .degraded_over_ns = 10 * NS_PER_S,
                                     .hold_ns = 180 * NS_PER_S};
    struct address address = simulation_address(0);
    struct validate_settings settings = {.probe = &probe,
                                         .health = &health,
                                         .addresses = &address,
                                         .address_count = 1,
                                         .duration_ns = hours * 3600 * NS_PER_S};
    struct validate_counts counts;
    struct transport *transport;

    open_profile(&transport, &simulation, "nested");
    cr_assert_eq(validate_run(&counts, &settings, transport), 0);
    return counts;
}

Test(validate, a_day_of_nested_brings_no_needless_failover)
{
    struct validate_counts counts = run_nested(100, 10, 24);

    cr_expect(counts.up_s > 86390 && counts.up_s <= 86400, "%f", counts.up_s);
    cr_expect_geq(counts.requests, 2 * 863990);
    cr_expect_eq(counts.downs, 0);
    cr_expect_eq(counts.degradeds, 0);
}

Test(validate, an_hour_of_nested_is_too_much_for_a_shorter_window)
{
    struct validate_counts counts = run_nested(20, 10, 1);

    cr_expect_gt(counts.downs, 200, "spikes of 300 ms every 10 s, a window of 200 ms");
}
