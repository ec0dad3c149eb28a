/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent says of lists that fail, that are not kept, and that are asked for no more. */
#include "route/agent/lists.h"
#include "route/agent/telling.h"
#include "route/log.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/stat.h>

static char directory[64];
static struct config config = {.access_count = 1,
                               .service = {.family = AF_INET, .bytes = {192, 168, 33, 2}},
                               .session = {.provider = "file", .poll_interval_ns = NS_PER_S}};
static const struct agent_options options = {0};
static const struct agent_table table = {0};
static struct situation now = {
    .config = &config, .options = &options, .table = &table, .current = SELECTOR_NO_PATH};
static struct lists lists;
static struct kept kept;
static struct disk *disk;
static unsigned asked, woken;
static int log_fds[2];

/* The provider is played. */
int session_provider_list(struct session_provider *provider, const struct session_endpoint *endpoints,
                          size_t count, session_answer_fn *done, void *context)
{
    asked++;
    return -EMFILE;
}

int session_provider_refresh(struct session_provider *provider, const struct session_endpoint *endpoints,
                             size_t count, const char *uuid, const char *client_addresses,
                             session_answer_fn *done, void *context)
{
    return -EMFILE;
}

int session_provider_heartbeat(struct session_provider *provider, const struct session_endpoint *endpoint,
                               const char *body, session_answer_fn *done, void *context)
{
    return -EMFILE;
}

void session_provider_cancel_refresh(struct session_provider *provider)
{
}

static void wake(void *context)
{
    woken++;
}

static void begin(void)
{
    const struct waker waker = {.wake = wake};

    snprintf(directory, sizeof(directory), "/tmp/reroute-lists-XXXXXX");
    cr_assert(mkdtemp(directory));
    snprintf(config.state_directory, sizeof(config.state_directory), "%s", directory);
    cr_assert_eq(pipe2(log_fds, O_CLOEXEC | O_NONBLOCK), 0);
    log_open(log_fds[1], NULL);
    now.now_ns = now.started_ns = 100 * NS_PER_S;
    cr_assert_eq(lists_open(&lists, &config, &waker), 0);
    cr_assert_eq(disk_open(&disk, directory), 0);
}

static void end(void)
{
    char path[96];

    lists_close(&lists);
    disk = disk_close(disk);
    log_close();
    snprintf(path, sizeof(path), "%s/sessions.json", directory);
    unlink(path);
    rmdir(directory);
}

static unsigned count_of(const char *text, const char *word)
{
    unsigned count = 0;

    for (; (text = strstr(text, word)); text++)
        count++;
    return count;
}

/* What the log has said since it was asked last. */
static const char *said(void)
{
    static char text[1 << 16];
    ssize_t n = read(log_fds[0], text, sizeof(text) - 1);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void poll_for(uint64_t length_ns)
{
    uint64_t until_ns = now.now_ns + length_ns;

    for (; now.now_ns < until_ns; now.now_ns += 500 * NS_PER_MS) {
        lists_take(&lists, &now, disk);
        lists_step(&lists, NULL, &now);
    }
}

Test(lists, a_failure_at_once_is_a_failure_like_others, .init = begin, .fini = end)
{
    poll_for(5 * NS_PER_S);
    cr_expect_geq(asked, 5);
    cr_expect_eq(woken, asked, "a step takes it in");
    cr_expect(lists.polls.failed);
    cr_expect_str_eq(lists.polls.message, strerror(EMFILE));
    cr_expect_eq(count_of(said(), "event=session-list-failed"), 1, "once");
}

Test(lists, nobody_speaks_of_lists_that_are_asked_for_no_more, .init = begin, .fini = end)
{
    const char *text;

    poll_for(30 * NS_PER_S);
    cr_assert(lists.overdue);
    text = said();
    cr_assert_eq(count_of(text, "event=session-lists-overdue"), 1);
    strcpy(config.session.provider, "none");
    lists_provider_changed(&lists);
    poll_for(30 * NS_PER_S);
    cr_expect_not(lists.overdue);
    cr_expect_not(lists.polls.failed);
    cr_expect_str_eq(lists.polls.message, "");
    cr_expect_str_eq(said(), "");
}

/* Only a service may be what the cluster does not have; a file is there to be mended. */
Test(lists, who_is_told_of_no_provider, .init = begin, .fini = end)
{
    static const struct {
        const char *provider;
        unsigned hints;
    } rows[] = {{"rest", 1}, {"file", 0}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *text;

        strcpy(config.session.provider, rows[i].provider);
        lists_provider_changed(&lists);
        lists.overdue = false;
        poll_for(30 * NS_PER_S);
        text = said();
        cr_expect_eq(count_of(text, "event=session-lists-overdue"), 1, "%s: %s", rows[i].provider, text);
        cr_expect_eq(count_of(text, "provider = none"), rows[i].hints, "%s: %s", rows[i].provider, text);
    }
}

Test(lists, what_another_provider_refused_is_over)
{
    struct telling telling = {.refresh = {.failed = true, .message = "x"}, .heartbeat = {.failed = true}};

    telling_provider_changed(&telling);
    cr_expect_not(telling.refresh.failed);
    cr_expect_not(telling.heartbeat.failed);
}

/* A list of one access, by the last byte of its address. */
static void take(uint8_t node)
{
    struct session session = {.data = {.family = AF_INET, .bytes = {10, 0, 0, node}}};
    const struct session_list list = {.items = &session, .count = 1};
    struct disk_report report;

    snprintf(session.uuid, sizeof(session.uuid), "uuid-%u", node);
    now.now_ns += 10 * NS_PER_S;
    cr_assert_eq(session_liveness_expect(lists.liveness, &session.data, &session.secondary), 0);
    lists.answer = (struct list_answer){.came = true, .origin = {.access = UINT32_MAX}};
    cr_assert_eq(session_list_copy(&lists.answer.list, &list), 0);
    lists_take(&lists, &now, disk);
    disk_drain(disk, 20 * NS_PER_S);
    disk_report(disk, now.now_ns, &report);
    lists_note_saved(&lists, &report);
    kept_note(&kept, directory, KEPT_LIST, report.error[KEPT_LIST]);
}

Test(lists, a_list_that_is_on_disk_is_kept, .init = begin, .fini = end)
{
    char in_the_way[96];

    snprintf(in_the_way, sizeof(in_the_way), "%s/sessions.json.new", directory);
    take(1);
    cr_assert_eq(kept.error[KEPT_LIST], 0);
    cr_assert_eq(mkdir(in_the_way, 0700), 0);
    take(2);
    cr_assert_lt(kept.error[KEPT_LIST], 0, "it cannot be written");
    take(1);
    cr_expect_eq(kept.error[KEPT_LIST], 0, "the one on disk");
    cr_expect_eq(count_of(said(), "event=kept-again"), 1);
    take(2);
    cr_expect_lt(kept.error[KEPT_LIST], 0);
    rmdir(in_the_way);
    take(2);
    cr_expect_eq(kept.error[KEPT_LIST], 0);
}
