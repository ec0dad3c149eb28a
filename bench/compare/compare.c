/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute bench compare`: the same lists through reroute, through other tools, and through the scheme that
 * reroute replaces.
 *
 * Everything is started in a stage (stage.h) whose other host answers for all addresses in its kernel, so the
 * truth is known: a live host that is not reported reachable is a false unreachable. A run is the life of a
 * process, its start included: wall time from outside, CPU time as the kernel accounts for it when it is
 * gone. The kernel's work for the answering host is part of the CPU time of the tool that asked. That is the
 * same for all tools.
 *
 * All ways to ask all lists take turns, in another order each round, so that a change of the machine's mood
 * hits all; what is shown are medians. A tool that is not installed, or fails, has a row that says so.
 *
 * The ratios are reroute's over the row's, at 1 x 1. Where the project has promised one (bars), a second
 * table says what came out.
 *
 * Deliberately not done: tuning the other tools to this very machine; they run with what their manuals say
 * is fastest.
 */
#include <sched.h>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "bench/bench.h"
#include "bench/compare/compare.h"
#include "bench/study/stage.h"
#include "bench/study/study.h"
#include "probe/cpus.h"
#include "probe/quantity.h"
#include "probe/shuffle.h"
#include "probe/statistics.h"
#include "probe/text.h"

#define MESSAGE_BYTES   512
#define ROUNDS_MAX      100000
#define THREADS_PER_CPU 8
#define THREADS_MAX     1000 /* select() takes no more files */
#define TRICKLE_NS      (20 * NS_PER_MS)

/* --- what runs -------------------------------------------------------------------------------------------*/

static bool is_chosen(const struct compare_study *study, const struct compare_way *way)
{
    size_t length = strcspn(way->tool, " ");

    for (const char *at = study->tools; at && *at; at += strcspn(at, ",") + (at[strcspn(at, ",")] == ','))
        if (strcspn(at, ",") == length && strncmp(at, way->tool, length) == 0)
            return true;
    return !study->tools;
}

static int make_entries(struct compare_study *study)
{
    study->entries = calloc(study->list_count * compare_way_count, sizeof(*study->entries));
    for (size_t l = 0; study->entries && l < study->list_count; l++) {
        for (size_t w = 0; w < compare_way_count; w++) {
            struct compare_entry *entry = &study->entries[study->entry_count];

            if (!is_chosen(study, &compare_ways[w]))
                continue;
            study->entry_count++;
            entry->way = &compare_ways[w];
            entry->list = &study->lists[l];
            entry->wall_ns = calloc(study->rounds, sizeof(*entry->wall_ns));
            entry->cpu_ns = calloc(study->rounds, sizeof(*entry->cpu_ns));
            entry->unreachable = calloc(study->rounds, sizeof(*entry->unreachable));
            if (!entry->wall_ns || !entry->cpu_ns || !entry->unreachable)
                return -ENOMEM;
            if (!compare_is_installed(entry->way, &study->places))
                snprintf(entry->note, sizeof(entry->note), "not installed");
        }
    }
    return study->entries ? 0 : -ENOMEM;
}

/* One run of it. What failed is not tried again. */
static void run_entry(const struct compare_study *study, struct compare_entry *entry)
{
    const char *argv[COMPARE_ARGV_MAX];
    uint32_t live = entry->list->addresses - entry->list->dead;
    struct child child = {0};
    int64_t reachable;
    char line[160];
    int r;

    compare_arguments(entry->way, &study->places, argv);
    r = child_run(&child, argv, entry->list->text);
    reachable = r < 0 ? r : compare_reachable(entry->way, &child);
    if (study_interrupted()) {
        /* It was interrupted, too. */
    } else if (r < 0) {
        snprintf(entry->note, sizeof(entry->note), "not started: %s", strerror(-r));
    } else if (child.status > entry->way->status_most) {
        snprintf(entry->note, sizeof(entry->note), "status %d: %s", child.status,
                 child_error_line(&child, line, sizeof(line)));
    } else if (reachable < 0 || reachable > live) {
        snprintf(entry->note, sizeof(entry->note), "an answer that makes no sense");
    } else {
        entry->wall_ns[entry->rounds] = child.wall_ns;
        entry->cpu_ns[entry->rounds] = child.cpu_ns;
        entry->unreachable[entry->rounds] = live - (uint64_t)reachable;
        entry->false_sum += live - (uint64_t)reachable;
        entry->rounds++;
    }
    child_clear(&child);
}

/* How long a run is expected to take, in seconds, for the progress. */
static double expected_s(const struct compare_entry *entry)
{
    if (entry->note[0])
        return 0;
    if (entry->rounds > 0)
        return (double)entry->wall_ns[entry->rounds - 1] / 1e9;
    return 0.5 + entry->list->addresses * 50e-6;
}

static void run_all(struct compare_study *study)
{
    struct study_progress progress = {0};
    struct shuffle shuffle;
    double done_s = 0;

    for (uint32_t round = 0; round < study->rounds; round++) {
        shuffle_init(&shuffle, (uint32_t)study->entry_count, (uint32_t[4]){round, 1, 2, 3});
        for (uint32_t i = 0; i < study->entry_count && !study_interrupted(); i++) {
            struct compare_entry *entry = &study->entries[shuffle_at(&shuffle, i)];
            double left_s = 0;

            for (size_t e = 0; e < study->entry_count; e++)
                left_s += expected_s(&study->entries[e]) * (double)(study->rounds - study->entries[e].rounds);
            study_progress(&progress, done_s, done_s + left_s,
                           "round %" PRIu32 " of %" PRIu64 ", %s, %" PRIu32 " addresses", round + 1,
                           study->rounds, entry->way->tool, entry->list->addresses);
            if (entry->note[0] == '\0')
                run_entry(study, entry);
            if (entry->rounds > 0)
                done_s += (double)entry->wall_ns[entry->rounds - 1] / 1e9;
        }
    }
    study_progress_end(&progress);
    for (size_t e = 0; e < study->entry_count; e++) {
        statistics_sort(study->entries[e].wall_ns, study->entries[e].rounds);
        statistics_sort(study->entries[e].cpu_ns, study->entries[e].rounds);
        statistics_sort(study->entries[e].unreachable, study->entries[e].rounds);
    }
}

/* --- what else runs meanwhile ----------------------------------------------------------------------------*/

static int keep_busy(int peer)
{
    for (volatile unsigned long i = 0;; i++)
        continue;
    return peer;
}

/*
 * A datagram now and then from the other host, to nobody: masscan's receiver looks at its clock only when a
 * packet comes, and would else wait for minutes after its last reply.
 */
static int trickle(int peer)
{
    const struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
    const struct timespec pause = {.tv_nsec = TRICKLE_NS};
    struct sockaddr_in ours = to;
    int fd;

    inet_pton(AF_INET, STAGE_OUR_ADDRESS, &ours.sin_addr);
    if (setns(peer, CLONE_NEWNET) < 0)
        return 1;
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    while (fd >= 0) {
        if (sendto(fd, "", 0, 0, (const struct sockaddr *)&ours, sizeof(ours)) < 0 && errno != ECONNREFUSED)
            break;
        nanosleep(&pause, NULL);
    }
    return 1;
}

/* A process that ends with this one. */
static int start_companion(struct compare_study *study, int (*function)(int peer), int peer)
{
    pid_t parent = getpid(), child;

    if (study->companion_count == COMPARE_COMPANIONS_MAX)
        return -E2BIG;
    child = fork();
    if (child < 0)
        return -errno;
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(getppid() == parent ? function(peer) : 1);
    }
    study->companions[study->companion_count++] = child;
    return 0;
}

static int start_companions(struct compare_study *study, int peer)
{
    uint32_t cpus = study->busy ? probe_cpus_usable() : 0;
    int r = 0;

    for (size_t e = 0; e < study->entry_count; e++) {
        if (strcmp(study->entries[e].way->tool, "masscan") == 0 && study->entries[e].note[0] == '\0') {
            r = start_companion(study, trickle, peer);
            break;
        }
    }
    while (r == 0 && cpus-- > 0)
        r = start_companion(study, keep_busy, peer);
    return r;
}

static void end_companions(struct compare_study *study)
{
    while (study->companion_count > 0) {
        pid_t child = study->companions[--study->companion_count];

        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
}

/* --- the command -----------------------------------------------------------------------------------------*/

static int take_list(void *context, const char *item)
{
    struct compare_study *study = context;
    uint64_t addresses;

    if (study->list_count == COMPARE_LISTS_MAX || quantity_number(item, 1, COMPARE_MOST, &addresses) < 0 ||
        study->dead >= addresses)
        return -EINVAL;
    return compare_list_make(&study->lists[study->list_count++], (uint32_t)addresses, (uint32_t)study->dead);
}

static int take_tool(void *context, const char *item)
{
    struct compare_study one = {.tools = item};

    for (size_t w = 0; w < compare_way_count; w++)
        if (is_chosen(&one, &compare_ways[w]))
            return 0;
    return -EINVAL;
}

static int compare(struct compare_study *study, enum compare_output output)
{
    CLEANUP(close_fd) int peer = -1;
    char message[MESSAGE_BYTES] = "";
    int r = stage_enter(message, sizeof(message));

    if (r == 0)
        r = peer = stage_peer(COMPARE_LIVE, COMPARE_SILENT, message, sizeof(message));
    if (r >= 0)
        r = make_entries(study);
    if (r >= 0)
        r = start_companions(study, peer);
    if (r < 0) {
        text_error("%s: %s", study->program, message[0] ? message : strerror(-r));
        return EXIT_SYSTEM;
    }
    study_catch_signals();
    run_all(study);
    end_companions(study);
    compare_print(study, output);
    return study_interrupted() ? 128 + study_interrupted() : 0;
}

static void study_clear(struct compare_study *study)
{
    for (size_t e = 0; e < study->entry_count; e++) {
        free(study->entries[e].wall_ns);
        free(study->entries[e].cpu_ns);
        free(study->entries[e].unreachable);
    }
    free(study->entries);
    for (size_t l = 0; l < study->list_count; l++)
        free(study->lists[l].text);
    end_companions(study);
}

/* The options as they were typed. */
struct words {
    const char *addresses, *rounds, *dead, *threads;
};

/* Reads them into the study. 0, or the exit code when one is wrong and that has been said. */
static int take_words(struct compare_study *study, const struct words *words)
{
    study->threads = (uint64_t)probe_cpus_usable() * THREADS_PER_CPU;
    if (quantity_number(words->rounds, 1, ROUNDS_MAX, &study->rounds) < 0)
        return options_complain(study->program, "--rounds '%s': expected a number from 1 to %d",
                                words->rounds, ROUNDS_MAX);
    if (quantity_number(words->dead, 0, COMPARE_MOST, &study->dead) < 0)
        return options_complain(study->program, "--dead '%s': expected a number", words->dead);
    if (words->threads && quantity_number(words->threads, 1, THREADS_MAX, &study->threads) < 0)
        return options_complain(study->program, "--threads '%s': expected a number from 1 to %d",
                                words->threads, THREADS_MAX);
    if (study->tools && study_list(study->tools, take_tool, NULL) < 0)
        return options_complain(study->program,
                                "--tools '%s': expected some of reroute, old, fping, zmap, masscan, nmap",
                                study->tools);
    if (study_list(words->addresses, take_list, study) < 0)
        return options_complain(study->program,
                                "--addresses '%s': expected up to %d numbers from 1 to %" PRIu32
                                ", each more than are dead",
                                words->addresses, COMPARE_LISTS_MAX, COMPARE_MOST);
    return 0;
}

static void find_programs(struct compare_study *study)
{
    struct compare_places *places = &study->places;

    study_program("../reroute", REROUTE_BIN "/reroute", places->reroute, sizeof(places->reroute));
    study_program("old_scheme.py", "old_scheme.py", places->old_scheme, sizeof(places->old_scheme));
    snprintf(places->threads, sizeof(places->threads), "%" PRIu64, study->threads);
}

int bench_compare(int argc, char **argv)
{
    struct words words = {.addresses = "506,65000", .rounds = "5", .dead = "0"};
    __attribute__((cleanup(study_clear))) struct compare_study study = {.program = argv[0]};
    bool json = false, csv = false;
    const struct option_row rows[] = {
        {0, "addresses", "LIST", "how many addresses to ask (506,65000)", .value = &words.addresses},
        {0, "dead", "N", "so many of each list never answer (0)", .value = &words.dead},
        {0, "rounds", "N", "how often each tool asks each list (5)", .value = &words.rounds},
        {0, "tools", "LIST", "of reroute, old, fping, zmap, masscan, nmap (all)", .value = &study.tools},
        {0, "threads", "N", "of the old scheme (8 a CPU)", .value = &words.threads},
        {0, "busy", NULL, "keep all CPUs busy with something else meanwhile", .flag = &study.busy},
        BENCH_JSON(&json, "compare"),
        BENCH_CSV(&csv),
        {0},
    };
    const struct command_line line = {
        .about = "The same lists of addresses through reroute, other tools, and the scheme that reroute\n"
                 "replaces: time, CPU time and live hosts that were called unreachable.\n",
        .rows = rows,
        .after = "Runs in network namespaces of its own; nothing else is touched. See reroute-bench(8).\n",
    };
    int at = options_parse(&line, argc, argv), code;

    if (at <= 0)
        return at ? EXIT_USAGE : 0;
    code = bench_check_output(argv[0], json, csv, NULL);
    if (!code)
        code = take_words(&study, &words);
    if (code)
        return code;
    find_programs(&study);
    return compare(&study, json ? COMPARE_JSON : csv ? COMPARE_CSV : COMPARE_TEXT);
}
