/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pulse of a session.
 *
 * alive_sec is a clock that every session carries. A list is news when it has moved on. But the clock of a
 * cluster may step (somebody sets the time, a leader with another time takes over), and then all values are
 * too large or too small, for one list or from then on. If the largest value ever seen were the measure, one
 * wrong list would make all later ones old for as long as the excess.
 *
 * So the measure is a track: a value belongs to it when its birth (now - alive_sec) is within 15 s of the one
 * heard last. On the track only a larger value is news. A value off the track is doubted. What makes it good
 * is the next one: an old list stands still, one of a cluster that goes on grows by as much as time has
 * passed. Nobody jumps between two tracks: a value on the track ends the doubt.
 *
 *   - Too young, and no older than the time since the last news: the session may have begun anew under its
 *     old uuid. The second value that goes on is believed.
 *   - All else is no session's life: it was heard alive before this birth, or it would have to become older
 *     than time allows. The clock stepped. The third value that goes on is believed, and is then the track.
 *
 * So a wrong list costs itself, and a clock that stepped for good costs two lists.
 */
#include "session/pulse.h"

#define SLACK_NS      ((int64_t)PULSE_SLACK_NS)
#define ANEW_AFTER    2
#define STEPPED_AFTER 3

int64_t pulse_birth_ns(uint64_t alive_sec, uint64_t now_ns)
{
    return (int64_t)now_ns - (int64_t)(min_u64(alive_sec, UINT32_MAX) * NS_PER_S);
}

static bool is_on_track(const struct pulse *pulse, uint64_t alive_sec, uint64_t now_ns)
{
    int64_t moved_ns = pulse_birth_ns(alive_sec, now_ns) - pulse->birth_ns;

    return moved_ns <= SLACK_NS && moved_ns >= -SLACK_NS;
}

/* Does the value go on from the one that was doubted last, at the pace of time? */
static bool goes_on(const struct pulse *pulse, uint64_t alive_sec, uint64_t now_ns)
{
    int64_t moved_ns =
        pulse_birth_ns(alive_sec, now_ns) - pulse_birth_ns(pulse->doubted_sec, pulse->doubted_ns);

    return alive_sec > pulse->doubted_sec && moved_ns <= SLACK_NS && moved_ns >= -SLACK_NS;
}

void pulse_note(struct pulse *pulse, uint64_t alive_sec, uint64_t now_ns)
{
    if (!pulse->heard)
        return;
    if (is_on_track(pulse, alive_sec, now_ns)) {
        pulse->doubts = 0;
        return;
    }
    if (pulse->doubts && alive_sec == pulse->doubted_sec) /* the same list again */
        return;
    pulse->doubts = pulse->doubts && goes_on(pulse, alive_sec, now_ns) ? pulse->doubts + 1 : 1;
    pulse->doubted_sec = alive_sec;
    pulse->doubted_ns = now_ns;
}

static bool may_be_anew(const struct pulse *pulse, uint64_t alive_sec, uint64_t now_ns, uint64_t news_ns)
{
    return pulse_birth_ns(alive_sec, now_ns) > pulse->birth_ns &&
           min_u64(alive_sec, UINT32_MAX) * NS_PER_S <= sub_sat_u64(now_ns, news_ns) + PULSE_SLACK_NS;
}

enum pulse_word pulse_read(const struct pulse *pulse, uint64_t alive_sec, uint64_t now_ns, uint64_t news_ns)
{
    bool newest = alive_sec == pulse->doubted_sec && now_ns == pulse->doubted_ns;

    if (!pulse->heard)
        return PULSE_MOVED;
    if (is_on_track(pulse, alive_sec, now_ns))
        return alive_sec > pulse->newest_sec ? PULSE_MOVED : PULSE_STILL;
    if (newest && pulse->doubts >= ANEW_AFTER && may_be_anew(pulse, alive_sec, now_ns, news_ns))
        return PULSE_ANEW;
    return newest && pulse->doubts >= STEPPED_AFTER ? PULSE_STEPPED : PULSE_DOUBTED;
}

void pulse_follow(struct pulse *pulse, uint64_t alive_sec, uint64_t now_ns)
{
    bool on_track = pulse->heard && is_on_track(pulse, alive_sec, now_ns);

    *pulse = (struct pulse){
        .heard = true,
        .newest_sec = on_track ? max_u64(pulse->newest_sec, alive_sec) : alive_sec,
        .birth_ns = pulse_birth_ns(alive_sec, now_ns),
    };
}
