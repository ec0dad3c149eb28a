/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: whatever a journal says, it is refused with one line, or read, sorted, and replayed with
 * the host's settings and with others; times do not go back, and every index is of something. Each of its lines is told
 * in sentences, or refused with one line.
 */
#include "route/journal/replay.h"
#include "route/journal/story.h"
#include "tests/fuzz/fuzz_memory_file.h"

static void check_events(const struct history *history)
{
    for (size_t i = 0; i < history->event_count; i++) {
        const struct history_event *event = &history->events[i];
        bool of_access = event->kind == HISTORY_ACCESS;

        fuzz_check(i == 0 || history->events[i - 1].at_ns <= event->at_ns);
        fuzz_check(event->index == SELECTOR_NO_PATH ||
                   event->index < (of_access ? history->access_count : history->path_count) ||
                   event->index == 0);
        history_realtime_ns(history, event->at_ns);
    }
}

static void replay(const struct history *history, const struct replay_settings *settings)
{
    CLEANUP(tally_clear) struct tally tally = {0};
    int r = replay_run(history, settings, &tally);

    fuzz_check(r == 0 || r == -E2BIG);
    for (size_t i = 0; i < tally.move_count; i++)
        fuzz_check(tally.moves[i].to < history->path_count);
    fuzz_check(tally.needless <= tally.move_count);
}

static void hear(void *context, const char *sentence)
{
    fuzz_check(sentence[0] != '\0');
}

static void tell(const uint8_t *data, size_t size)
{
    CLEANUP(story_free) struct story *story = story_new();
    int r = 0;

    for (size_t at = 0, length; r == 0 && at < size; at += length + 1) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        char message[256] = "";
        cJSON *line;

        length = end ? (size_t)(end - data) - at : size - at;
        line = cJSON_ParseWithLength((const char *)data + at, length);
        r = line ? story_line(story, line, hear, NULL, message, sizeof(message)) : 0;
        fuzz_check(r == 0 || (r == -EPROTO && message[0]));
        cJSON_Delete(line);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct replay_settings settings[] = {
        {.follow = true, .hold_ns = REPLAY_AS_RECORDED, .damping_max_ns = REPLAY_AS_RECORDED},
        {.hold_ns = REPLAY_AS_RECORDED, .damping_max_ns = REPLAY_AS_RECORDED},
        {.hold_ns = NS_PER_S, .damping_max_ns = 0, .without_sessions = true, .without_witness = true},
    };
    CLEANUP(history_free) struct history *history = NULL;
    struct fuzz_file file = fuzz_file_make(data, size);
    char message[256] = "";
    int r = history_read(&history, file.path, message, sizeof(message));

    close(file.fd);
    tell(data, size);
    fuzz_check(r == 0 || (r == -EPROTO && message[0] && !history));
    if (r < 0)
        return 0;
    check_events(history);
    for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
        replay(history, &settings[i]);
    return 0;
}
