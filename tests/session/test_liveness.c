/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves the rules of session/liveness.h, one history each, in a notation that reads like a log:
 *
 *   {12, "B", "A.a1@100 B.b1@50", FRESH, "A=alive B=alive"}
 *
 * At second 12 access B answered (nobody: "-", a provider that is no access) with a list of two sessions:
 * access A with uuid a1, alive for 100 s, and so on; "A.a1" has no alive_sec. The list was fresh, and
 * afterwards A and B are alive. "A=alive,m1,r2" adds: missing from one fresh list, two restarts in five
 * minutes. A list NULL is silence: only the clock has moved. A "!" before the origin: nobody else could be
 * asked. hold is 180 s, fresh_for 5 s. Every history starts with nothing known.
 */
#include "session/liveness.h"

#include <criterion/criterion.h>

#define FRESH SESSION_LIST_FRESH
#define STALE SESSION_LIST_STALE
#define EMPTY SESSION_LIST_EMPTY

struct step {
    double at_s;
    const char *origin;
    const char *list;
    enum session_verdict verdict;
    const char *want;
};

static const struct history {
    const char *title;
    struct step steps[14];
    const char *expected; /* accesses that are expected to be listed; NULL: none */
} histories[] = {
    {"never in a list: unknown", {{0, "-", "A.a1@10", FRESH, "A=alive B=unknown"}}},
    {"alive_sec vouches for the time before we started",
     {{10, "-", "A.a1@500 B.b1@179", FRESH, "A=stable B=alive"}}},
    {"stable exactly at birth + hold, between two polls",
     {{10, "-", "A.a1@178", FRESH, "A=alive"},
      {11.999, "-", NULL, 0, "A=alive"},
      {12, "-", NULL, 0, "A=stable"}}},
    {"silence does not satisfy stability",
     {{10, "-", "A.a1@170", FRESH, "A=alive"},
      {15, "-", NULL, 0, "A=alive"},
      {20, "-", NULL, 0, "A=alive"},
      {9999, "-", NULL, 0, "A=alive"}}},
    {"but the cluster may vouch for the silence afterwards",
     {{10, "-", "A.a1@170", FRESH, "A=alive"},
      {100, "-", NULL, 0, "A=alive"},
      {100, "-", "A.a1@260", FRESH, "A=stable"}}},
    {"silence does not break stability",
     {{10, "-", "A.a1@200", FRESH, "A=stable"}, {99999, "-", NULL, 0, "A=stable"}}},
    {"one missing list is not death, two are",
     {{0, "-", "A.a1@10 B.b1@10", FRESH, "A=alive B=alive"},
      {2, "-", "A.a1@12", FRESH, "A=alive B=alive,m1"},
      {4, "-", "A.a1@14", FRESH, "A=alive B=dead,m2"}}},
    {"two missing lists with one between that has it: alive",
     {{0, "-", "A.a1@10 B.b1@10", FRESH, "A=alive B=alive"},
      {2, "-", "A.a1@12", FRESH, "B=alive,m1"},
      {4, "-", "A.a1@14 B.b1@14", FRESH, "B=alive"},
      {6, "-", "A.a1@16", FRESH, "B=alive,m1"}}},
    {"silence after death: still dead",
     {{0, "-", "A.a1@10 B.b1@10", FRESH, "B=alive"},
      {2, "-", "A.a1@12", FRESH, "B=alive,m1"},
      {4, "-", "A.a1@14", FRESH, "B=dead,m2"},
      {9999, "-", NULL, 0, "B=dead,m2 A=alive"}}},
    {"an empty list says nothing, however often",
     {{0, "-", "A.a1@500", FRESH, "A=stable"},
      {2, "-", "", EMPTY, "A=stable"},
      {4, "-", "", EMPTY, "A=stable"},
      {6, "-", "", EMPTY, "A=stable"}}},
    {"a list seen before says nothing, however often",
     {{0, "-", "A.a1@10 B.b1@10", FRESH, "A=alive B=alive"},
      {2, "-", "A.a1@10", STALE, "B=alive"},
      {4, "-", "A.a1@10", STALE, "B=alive"},
      {100, "-", "A.a1@10", STALE, "B=alive A=alive"}}},
    {"polls closer together than a second say nothing new",
     {{0, "-", "A.a1@10 B.b1@10", FRESH, "B=alive"},
      {0.9, "-", "A.a1@11", FRESH, "B=alive,m1"},
      {1.1, "-", "A.a1@11", STALE, "B=alive,m1"},
      {1.9, "-", "A.a1@12", FRESH, "B=dead,m2"}}},
    {"a follower that lags has smaller values: says nothing, neither of life nor of death",
     {{10, "-", "A.a1@500 B.b1@500", FRESH, "A=stable B=stable"},
      {12, "-", "A.a1@497", STALE, "A=stable B=stable"},
      {14, "-", "A.a1@499 C.c1@900", STALE, "A=stable B=stable C=unknown"},
      {16, "-", "A.a1@501 B.b1@501", FRESH, "A=stable B=stable"}}},
    {"a follower that lags does not bring the dead back",
     {{0, "-", "A.a1@10 B.b1@10", FRESH, "B=alive"},
      {2, "-", "A.a1@12", FRESH, "B=alive,m1"},
      {4, "-", "A.a1@14", FRESH, "B=dead,m2"},
      {5, "-", "A.a1@11 B.b1@11", STALE, "B=dead,m2"}}},
    {"switching to a follower that lags steadily is no restart",
     {{0, "-", "A.a1@300", FRESH, "A=stable"},
      {2, "-", "A.a1@288", STALE, "A=stable"},
      {14, "-", "A.a1@302", FRESH, "A=stable"},
      {16, "-", "A.a1@304", FRESH, "A=stable"}}},
    {"answers that overtook each other",
     {{0, "-", "A.a1@10 B.b1@10", FRESH, "B=alive"},
      {4, "-", "A.a1@14", FRESH, "B=alive,m1"},
      {4.1, "-", "A.a1@12", STALE, "B=alive,m1"},
      {6, "-", "A.a1@16 B.b1@16", FRESH, "B=alive"}}},
    {"a new uuid is a restart; stability starts again",
     {{0, "-", "A.a1@500 B.b1@500", FRESH, "A=stable B=stable"},
      {4, "-", "A.a2@1 B.b1@504", FRESH, "A=alive,r1 B=stable"},
      {8, "-", "A.a2@5 B.b1@508", FRESH, "A=alive,r1"},
      {182.9, "-", "A.a2@179 B.b1@682", FRESH, "A=alive,r1"},
      {183, "-", NULL, 0, "A=stable,r1"}}},
    {"a birth that moved later by more than 15 s is a restart, by less it is not",
     {{0, "-", "A.a1@100 B.b1@100 C.c1@100", FRESH, "A=alive B=alive"},
      {20, "-", "A.a1@105 B.b1@104 C.c1@120", FRESH, "A=alive B=alive,r1 C=alive"}}},
    {"three restarts within five minutes, forgotten after five minutes",
     {{0, "-", "A.a1@500 B.b1@500", FRESH, "A=stable"},
      {20, "-", "A.a2@0 B.b1@520", FRESH, "A=alive,r1"},
      {40, "-", "A.a3@0 B.b1@540", FRESH, "A=alive,r2"},
      {60, "-", "A.a4@0 B.b1@560", FRESH, "A=alive,r3"},
      {320, "-", "A.a4@260 B.b1@820", FRESH, "A=stable,r3"},
      {321, "-", NULL, 0, "A=stable,r2"},
      {361, "-", NULL, 0, "A=stable"}}},
    {"back from the dead: a new life, even under the old uuid and birth",
     {{0, "-", "A.a1@500 B.b1@500", FRESH, "B=stable"},
      {2, "-", "A.a1@502", FRESH, "B=stable,m1"},
      {4, "-", "A.a1@504", FRESH, "B=dead,m2"},
      {6, "-", "A.a1@506 B.b1@506", FRESH, "B=alive,r1"},
      {183.9, "-", "A.a1@683 B.b1@683", FRESH, "B=alive,r1"},
      {184, "-", NULL, 0, "B=stable,r1"}}},
    {"missing once and back is the same life",
     {{0, "-", "A.a1@500 B.b1@500", FRESH, "B=stable"},
      {2, "-", "A.a1@502", FRESH, "B=stable,m1"},
      {4, "-", "A.a1@504 B.b1@504", FRESH, "B=stable"}}},
    {"power failure: all sessions new at once is news",
     {{0, "-", "A.a1@500 B.b1@500", FRESH, "A=stable B=stable"},
      {600, "-", "A.a2@3 B.b2@2", FRESH, "A=alive,r1 B=alive,r1"},
      {602, "-", "A.a1@480 B.b1@480", STALE, "A=alive,r1 B=alive,r1"}}},
    {"all began anew and kept their uuids: believed when it moves",
     {{0, "-", "A.a1@500 B.b1@500", FRESH, "A=stable B=stable"},
      {60, "-", "A.a1@8 B.b1@7", STALE, "A=stable B=stable"},
      {62, "-", "A.a1@10 B.b1@9", FRESH, "A=alive,r1 B=alive,r1"}}},
    {"a list frozen when the cluster was young is not taken for that",
     {{0, "-", "A.a1@20 B.b1@20", FRESH, "A=alive B=alive"},
      {2, "-", "A.a1@22 B.b1@22", FRESH, "A=alive B=alive"},
      {60, "-", "A.a1@21 B.b1@21", STALE, "A=alive B=alive"},
      {62, "-", "A.a1@21 B.b1@21", STALE, "A=alive B=alive"},
      {90, "-", "A.a1@21 B.b1@21", STALE, "A=alive B=alive"}}},
    {"a frozen list that is the first answer after a silence is not taken for restarts",
     {{0, "-", "A.a1@500 B.b1@500", FRESH, "A=stable B=stable"},
      {60, "-", "A.a1@502 B.b1@502", STALE, "A=stable B=stable"},
      {62, "-", "A.a1@502 B.b1@502", STALE, "A=stable B=stable"},
      {64, "-", "A.a1@564 B.b1@4", FRESH, "A=stable B=alive,r1"}}},
    {"a clock that stepped for one list costs that list",
     {{0, "-", "A.a1@500 B.b1@50", FRESH, "A=stable B=alive"},
      {2, "-", "A.a1@29302 B.b1@28852", STALE, "A=stable B=alive"},
      {4, "-", "A.a1@504 B.b1@54", FRESH, "A=stable B=alive"},
      {6, "-", "A.a1@506", FRESH, "B=alive,m1"},
      {8, "-", "A.a1@508", FRESH, "B=dead,m2"}}},
    {"a clock that stepped for good costs two, makes nobody older and is no restart",
     {{0, "-", "A.a1@500 B.b1@50", FRESH, "A=stable B=alive"},
      {2, "-", "A.a1@29302 B.b1@28852", STALE, "A=stable B=alive"},
      {4, "-", "A.a1@29304 B.b1@28854", STALE, "A=stable B=alive"},
      {6, "-", "A.a1@29306 B.b1@28856", FRESH, "A=stable B=alive"},
      {8, "-", "A.a1@29308 B.b1@28858", FRESH, "A=stable B=alive"},
      {129.9, "-", "A.a1@29429 B.b1@28979", FRESH, "B=alive"},
      {130, "-", NULL, 0, "B=stable"}}},
    {"and back again",
     {{0, "-", "A.a1@29300 B.b1@28850", FRESH, "A=stable B=stable"},
      {2, "-", "A.a1@502 B.b1@52", STALE, "A=stable B=stable"},
      {4, "-", "A.a1@504 B.b1@54", STALE, "A=stable B=stable"},
      {6, "-", "A.a1@506 B.b1@56", FRESH, "A=stable B=alive"},
      {8, "-", "A.a1@508", FRESH, "B=alive,m1"},
      {10, "-", "A.a1@510", FRESH, "B=dead,m2"}}},
    {"a clock that jumps back and forth: the lists of the first track are news",
     {{0, "-", "A.a1@500 B.b1@500", FRESH, "A=stable"},
      {2, "-", "A.a1@29302 B.b1@29302", STALE, "A=stable"},
      {4, "-", "A.a1@504 B.b1@504", FRESH, "A=stable"},
      {6, "-", "A.a1@29306", STALE, "B=stable"},
      {8, "-", "A.a1@508", FRESH, "B=stable,m1"},
      {10, "-", "A.a1@29310", STALE, "B=stable,m1"},
      {12, "-", "A.a1@512", FRESH, "A=stable B=dead,m2"}}},
    {"one value that is nonsense neither blinds nor makes stable",
     {{0, "-", "A.a1@500 B.b1@50", FRESH, "A=stable B=alive"},
      {2, "-", "A.a1@502 B.b1@4294967295", FRESH, "A=stable B=alive"},
      {4, "-", "A.a1@504 B.b1@54", FRESH, "A=stable B=alive"},
      {6, "-", "B.b1@4294967295", STALE, "A=stable B=alive"},
      {8, "-", "B.b1@58", FRESH, "A=stable,m1 B=alive"}}},
    {"the first list ever is nonsense: a few lists later all is well",
     {{0, "-", "A.a1@4294967295", FRESH, "A=stable"},
      {2, "-", "A.a1@52", STALE, "A=stable"},
      {4, "-", "A.a1@54", STALE, "A=stable"},
      {6, "-", "A.a1@56", FRESH, "A=alive"},
      {8, "-", "A.a1@58", FRESH, "A=alive"}}},
    {"a frozen list does not become news by being asked between the others",
     {{0, "-", "A.a1@500 B.b1@500", FRESH, "A=stable"},
      {100, "-", "A.a1@600 B.b1@600", FRESH, "A=stable"},
      {102, "-", "A.a1@501 B.b1@501", STALE, "A=stable"},
      {104, "-", "A.a1@604 B.b1@604", FRESH, "A=stable"},
      {106, "-", "A.a1@501 B.b1@501", STALE, "A=stable"},
      {108, "-", "A.a1@501 B.b1@501", STALE, "A=stable"},
      {110, "-", "A.a1@501 B.b1@501", STALE, "A=stable"}}},
    {"a follower that lags by a minute is not believed while others are up to date",
     {{0, "-", "A.a1@500 B.b1@500", FRESH, "A=stable"},
      {2, "-", "A.a1@442", STALE, "B=stable"},
      {4, "-", "A.a1@504 B.b1@504", FRESH, "B=stable"},
      {6, "-", "A.a1@446", STALE, "B=stable"},
      {8, "-", "A.a1@508 B.b1@508", FRESH, "B=stable"},
      {10, "-", "A.a1@450", STALE, "B=stable"},
      {12, "-", "A.a1@512 B.b1@512", FRESH, "B=stable"}}},
    {"the origin neither proves its own life ...",
     {{0, "A", "A.a1@500 B.b1@500", FRESH, "A=unknown B=stable"},
      {2, "A", "A.a1@502 B.b1@502", FRESH, "A=unknown B=stable"},
      {4, "B", "A.a1@504 B.b1@504", FRESH, "A=stable B=stable"}}},
    {"... nor its death",
     {{0, "-", "A.a1@10 B.b1@10", FRESH, "A=alive B=alive"},
      {2, "A", "B.b1@12", FRESH, "A=alive B=alive"},
      {4, "A", "B.b1@14", FRESH, "A=alive B=alive"},
      {6, "B", "B.b1@16", FRESH, "A=alive,m1 B=alive"},
      {8, "A", "A.a1@18 B.b1@18", FRESH, "A=alive,m1 B=alive"},
      {10, "B", "B.b1@20", FRESH, "A=dead,m2 B=alive"}}},
    {"but an access whose own list does not have it either agrees with who misses it",
     {{0, "-", "A.a1@10 B.b1@10", FRESH, "A=alive B=alive"},
      {2, "B", "B.b1@12", FRESH, "A=alive,m1 B=alive"},
      {4, "A", "B.b1@14", FRESH, "A=dead,m2 B=alive"}}},
    {"what the accused says of the witness is not what the accuser said of him",
     {{0, "B", "A.a1@500 B.b1@500 C.c1@500", FRESH, "A=stable C=stable"},
      {2, "C", "A.a1@502 B.b1@502 C.c1@502", FRESH, "A=stable B=stable C=stable"},
      {4, "B", "B.b1@504 C.c1@504", FRESH, "A=stable,m1"},
      {5, "A", "A.a1@505", FRESH, "A=stable,m1 B=stable,m1 C=stable,m1"},
      {6, "C", "B.b1@506 C.c1@506", FRESH, "A=dead,m2 B=stable C=stable,m1"}}},
    {"one that is dead and goes on answering accuses nobody, while others answer",
     {{0, "B", "A.a1@500 B.b1@100 C.c1@100", FRESH, "A=stable C=alive"},
      {2, "C", "A.a1@502 B.b1@102 C.c1@102", FRESH, "A=stable B=alive C=alive"},
      {4, "B", "B.b1@104 C.c1@104", FRESH, "A=stable,m1"},
      {6, "C", "B.b1@106 C.c1@106", FRESH, "A=dead,m2"},
      {8, "A", "A.a1@508", FRESH, "A=dead,m2 B=alive C=alive"},
      {10, "B", "B.b1@110 C.c1@110", FRESH, "A=dead,m2 B=alive C=alive"},
      {12, "A", "A.a1@512", FRESH, "A=dead,m2 B=alive C=alive"},
      {78, "C", "B.b1@178 C.c1@178", FRESH, "B=alive C=alive"},
      {81, "B", "B.b1@181 C.c1@181", FRESH, "B=stable C=stable"},
      {82, "B", "B.b1@182", FRESH, "C=stable,m1"},
      {83, "A", "A.a1@583", FRESH, "A=dead,m2 B=stable C=stable,m1"},
      {84, "B", "B.b1@184", FRESH, "B=stable C=dead,m2"},
      {115, "A", "A.a1@615", FRESH, "B=stable,m1"}}},
    {"but what it says for others counts: the wrongly dead come back",
     {{0, "B", "A.a1@500 B.b1@500 C.c1@500", FRESH, "A=stable C=stable"},
      {2, "C", "A.a1@502 B.b1@502 C.c1@502", FRESH, "B=stable"},
      {4, "B", "B.b1@504", FRESH, "A=stable,m1 C=stable,m1"},
      {6, "B", "B.b1@506", FRESH, "A=dead,m2 C=dead,m2"},
      {8, "A", "A.a1@508 C.c1@508", FRESH, "A=dead,m2 B=stable C=alive,r1"},
      {10, "C", "A.a1@510 C.c1@510", FRESH, "A=alive,r1 B=stable,m1"}}},
    {"... unless nobody else can be asked", {{0, "!A", "A.a1@500 B.b1@500", FRESH, "A=stable B=stable"}}},
    {"the origin cannot claim a restart for itself",
     {{0, "B", "A.a1@500 B.b1@500", FRESH, "A=stable B=unknown"},
      {2, "A", "A.a2@1 B.b1@502", FRESH, "A=stable B=stable"},
      {4, "B", "A.a2@3 B.b1@504", FRESH, "A=alive,r1 B=stable"}}},
    {"cut off from its cluster: its own clock moves, the rest is frozen",
     {{0, "B", "A.a1@10 B.b1@10 C.c1@10", FRESH, "A=alive C=alive"},
      {2, "A", "A.a1@12 B.b1@10 C.c1@10", STALE, "A=alive C=alive"},
      {4, "A", "A.a1@14 B.b1@10 C.c1@10", STALE, "A=alive C=alive"}}},
    {"a list of the origin alone still says that the others are gone, once for each second",
     {{0, "B", "A.a1@10 B.b1@10", FRESH, "A=alive B=unknown"},
      {2, "A", "A.a1@12 B.b1@12", FRESH, "A=alive B=alive"},
      {4, "A", "A.a1@14", FRESH, "A=alive B=alive,m1"},
      {4.5, "A", "A.a1@14", STALE, "A=alive B=alive,m1"},
      {6, "A", "A.a1@16", FRESH, "A=alive B=dead,m2"}}},
    {"no alive_sec at all: fresh when it arrives, stability is what we have seen",
     {{100, "-", "A.a1 B.b1", FRESH, "A=alive B=alive"},
      {102, "-", "A.a1 B.b1", FRESH, "A=alive B=alive"},
      {106, "-", "A.a1", FRESH, "A=alive B=alive,m1"},
      {108, "-", "A.a1", FRESH, "B=dead,m2"},
      {110, "-", "A.a1 B.b1", FRESH, "B=alive,r1"}}},
    {"no alive_sec: the silence is not counted as life",
     {{0, "-", "A.a1", FRESH, "A=alive"},
      {100, "-", "A.a1", FRESH, "A=alive"},
      {180, "-", "A.a1", FRESH, "A=alive"},
      {185, "-", NULL, 0, "A=alive"},
      {1000, "-", NULL, 0, "A=alive"}}},
    {"no alive_sec: a new uuid is a restart, an old one that shows up again is not another",
     {{0, "-", "A.a1", FRESH, "A=alive"},
      {2, "-", "A.a2", FRESH, "A=alive,r1"},
      {4, "-", "A.a1", FRESH, "A=alive,r1"},
      {6, "-", "A.a2", FRESH, "A=alive,r1"}}},
    {"duplicates: the smaller alive_sec is the new one, whatever the order",
     {{0, "-", "A.a1@500 B.b1@500", FRESH, "A=stable"},
      {2, "-", "A.a1@502 A.a2@1 B.b1@502", FRESH, "A=alive,r1"},
      {4, "-", "A.a2@3 A.a1@504 B.b1@504", FRESH, "A=alive,r1"},
      {6, "-", "A.a2@5 B.b1@506", FRESH, "A=alive,r1"}}},
    {"duplicates without alive_sec: the one not seen before",
     {{0, "-", "A.a1", FRESH, "A=alive"},
      {2, "-", "A.a1 A.a2", FRESH, "A=alive,r1"},
      {4, "-", "A.a2 A.a1", FRESH, "A=alive,r1"}}},
    {"a new session cannot be older than the last sight of the one before",
     {{1000, "-", "A.a1@900", FRESH, "A=stable"}, {1002, "-", "A.a2@902", FRESH, "A=alive,r1"}}},
    {"known by its secondary address where one list has no data address",
     {{0, "-", "a.a1@500 B.b1@500", FRESH, "A=stable"},
      {2, "-", "A.a1@502 B.b1@502", FRESH, "A=stable"},
      {4, "-", "a.a1@504 B.b1@504", FRESH, "A=stable"}}},
    {"that it is in no list an access tells of itself",
     {{0, "C", "A.a1@500 B.b1@500", FRESH, "C=unknown,m1"},
      {2, "A", "A.a1@502 B.b1@502", FRESH, "C=dead,m2"}},
     "C"},
    {"but not that it is gone",
     {{0, "A", "A.a1@500 C.c1@500", FRESH, "C=stable"}, {2, "C", "A.a1@502", FRESH, "C=stable"}}},
};

/* Access "A" is 10.0.0.1 with the secondary address 20.0.0.1; "a" has only the latter. */
static void access_addresses(char name, struct address *data, struct address *secondary)
{
    uint8_t last = (uint8_t)((name | 0x20) - 'a' + 1);

    *data = (struct address){0};
    if (name < 'a')
        *data = (struct address){.family = AF_INET, .bytes = {10, 0, 0, last}};
    *secondary = (struct address){.family = AF_INET, .bytes = {20, 0, 0, last}};
}

static void list_make(const char *text, struct session *items, struct session_list *list)
{
    *list = (struct session_list){.items = items};
    for (int used; *text; text += used) {
        struct session *s = &items[list->count++];
        unsigned long long alive_sec = 0;
        char name;

        *s = (struct session){.zone = "default"};
        cr_assert_geq(sscanf(text, " %c.%63[^@ ]%n", &name, s->uuid, &used), 2);
        s->has_alive_sec = text[used] == '@';
        if (s->has_alive_sec) {
            char *end;

            alive_sec = strtoull(text + used + 1, &end, 10);
            used = (int)(end - text);
        }
        s->alive_sec = alive_sec;
        access_addresses(name, &s->data, &s->secondary);
    }
}

static void state_print(const struct session_liveness *liveness, char name, uint64_t now_ns, char *out,
                        size_t size_bytes)
{
    struct address data, secondary;
    struct session_view view;
    int used;

    access_addresses(name, &data, &secondary);
    session_liveness_view(liveness, &data, &secondary, now_ns, &view);
    used = snprintf(out, size_bytes, "%c=%s", name, session_state_text(view.state));
    if (view.missing)
        used += snprintf(out + used, size_bytes - (size_t)used, ",m%u", view.missing);
    if (view.restarts)
        snprintf(out + used, size_bytes - (size_t)used, ",r%u", view.restarts);
}

static void step_check(struct session_liveness *liveness, const struct history *history,
                       const struct step *step)
{
    uint64_t now_ns = (uint64_t)(step->at_s * 1000 + 0.5) * NS_PER_MS;
    const char *origin_name = step->origin + (step->origin[0] == '!');
    struct address origin = {0}, secondary;
    struct session items[16];
    struct session_list list;
    enum session_verdict verdict;

    if (*origin_name != '-')
        access_addresses(*origin_name, &origin, &secondary);
    if (step->list) {
        list_make(step->list, items, &list);
        cr_assert_eq(
            session_liveness_observe(liveness, &list, &origin, step->origin[0] != '!', now_ns, &verdict), 0);
        cr_expect_eq(verdict, step->verdict, "%s: at %g s \"%s\" is %s, expected %s", history->title,
                     step->at_s, step->list, session_verdict_text(verdict),
                     session_verdict_text(step->verdict));
    }
    for (const char *want = step->want; *want; want += strspn(want, " ")) {
        size_t length = strcspn(want, " ");
        char got[64];

        state_print(liveness, *want, now_ns, got, sizeof(got));
        cr_expect(strlen(got) == length && strncmp(got, want, length) == 0,
                  "%s: at %g s after \"%s\": %s, expected %.*s", history->title, step->at_s,
                  step->list ? step->list : "(silence)", got, (int)length, want);
        want += length;
    }
}

static struct session_liveness *liveness_make(void)
{
    struct session_liveness *liveness = NULL;
    struct session_liveness_settings settings = {.hold_ns = 180 * NS_PER_S, .fresh_for_ns = 5 * NS_PER_S};

    cr_assert_eq(session_liveness_new(&liveness, &settings), 0);
    return liveness;
}

static void expect(struct session_liveness *liveness, char name)
{
    struct address data, secondary;

    access_addresses(name, &data, &secondary);
    cr_assert_eq(session_liveness_expect(liveness, &data, &secondary), 0);
}

Test(liveness, histories)
{
    for (size_t i = 0; i < ARRAY_SIZE(histories); i++) {
        struct session_liveness *liveness = liveness_make();

        for (const char *name = histories[i].expected; name && *name; name++)
            expect(liveness, *name);
        for (size_t k = 0; k < ARRAY_SIZE(histories[i].steps) && histories[i].steps[k].want; k++)
            step_check(liveness, &histories[i], &histories[i].steps[k]);
        session_liveness_free(liveness);
    }
}

/* Feeds one list that nobody in particular gave. */
static enum session_verdict feed(struct session_liveness *liveness, const char *text, uint64_t now_ns)
{
    static const struct address nobody;
    struct session items[16];
    struct session_list list;
    enum session_verdict verdict;

    list_make(text, items, &list);
    cr_assert_eq(session_liveness_observe(liveness, &list, &nobody, true, now_ns, &verdict), 0);
    return verdict;
}

static struct session_view view_of(const struct session_liveness *liveness, char name, uint64_t now_ns)
{
    struct address data, secondary;
    struct session_view view;

    access_addresses(name, &data, &secondary);
    session_liveness_view(liveness, &data, &secondary, now_ns, &view);
    return view;
}

Test(liveness, view_tells_who_since_when_and_until)
{
    struct session_liveness *liveness = liveness_make();
    struct session_view view;

    cr_expect_eq(session_liveness_fresh_ns(liveness), NEVER_NS);
    cr_expect_eq(view_of(liveness, 'A', 0).stable_at_ns, NEVER_NS);
    feed(liveness, "A.a1@10 B.b1@9999", 100 * NS_PER_S);
    cr_expect_eq(session_liveness_fresh_ns(liveness), 100 * NS_PER_S);
    view = view_of(liveness, 'A', 101 * NS_PER_S);
    cr_expect_str_eq(view.uuid, "a1");
    cr_expect_str_eq(view.zone, "default");
    cr_expect_eq(view.born_ns, 90 * NS_PER_S);
    cr_expect_eq(view.stable_at_ns, 270 * NS_PER_S);
    cr_expect_eq(view_of(liveness, 'A', 106 * NS_PER_S).stable_at_ns, NEVER_NS, "silence holds it up");
    cr_expect_eq(view_of(liveness, 'B', 101 * NS_PER_S).born_ns, 0, "before the clock began");
    cr_expect(session_liveness_at(liveness, 0, 101 * NS_PER_S, &view) && strcmp(view.uuid, "a1") == 0);
    cr_expect(session_liveness_at(liveness, 1, 101 * NS_PER_S, &view) && strcmp(view.uuid, "b1") == 0);
    cr_expect_not(session_liveness_at(liveness, 2, 101 * NS_PER_S, &view));
    session_liveness_free(liveness);
}

Test(liveness, uuid_that_its_access_claims_can_be_refreshed)
{
    struct session_liveness *liveness = liveness_make();
    struct session items[2];
    struct session_list list;
    struct address origin, secondary;
    enum session_verdict verdict;

    access_addresses('A', &origin, &secondary);
    list_make("A.a1@10", items, &list);
    session_liveness_observe(liveness, &list, &origin, true, 0, &verdict);
    cr_expect_eq(view_of(liveness, 'A', 0).state, SESSION_UNKNOWN);
    cr_expect_str_eq(view_of(liveness, 'A', 0).uuid, "a1");
    session_liveness_free(liveness);
}

Test(liveness, no_alive_sec_stable_when_lists_kept_coming)
{
    struct session_liveness *liveness = liveness_make();
    uint64_t now_ns = 1000 * NS_PER_S;

    for (int i = 0; i < 90; i++, now_ns += 2 * NS_PER_S) {
        feed(liveness, "A.a1", now_ns);
        cr_expect_eq(view_of(liveness, 'A', now_ns).state, SESSION_ALIVE);
    }
    /* 178 s seen; a gap of 100 s, of which fresh_for = 5 s count: 183 s */
    cr_expect_eq(view_of(liveness, 'A', 1179 * NS_PER_S).state, SESSION_ALIVE);
    cr_expect_eq(view_of(liveness, 'A', 1180 * NS_PER_S).state, SESSION_STABLE);
    session_liveness_free(liveness);
}

/* 100 ppm over a month are 4 minutes; no restart may come of it. */
Test(liveness, clocks_that_drift_make_no_restart)
{
    struct session_liveness *liveness = liveness_make();

    for (uint64_t s = 0; s < 30 * 86400; s += 60) {
        char text[64];

        snprintf(text, sizeof(text), "A.a1@%" PRIu64, 1000 + s - s / 10000);
        feed(liveness, text, s * NS_PER_S);
        cr_assert_eq(view_of(liveness, 'A', s * NS_PER_S).state, SESSION_STABLE, "after %" PRIu64 " s", s);
        cr_assert_eq(view_of(liveness, 'A', s * NS_PER_S).restarts, 0, "after %" PRIu64 " s", s);
    }
    session_liveness_free(liveness);
}

Test(liveness, death_of_before_a_restart_holds_until_a_list_says_otherwise)
{
    struct session_liveness *liveness = liveness_make();
    struct address data, secondary;

    expect(liveness, 'A');
    expect(liveness, 'B');
    access_addresses('A', &data, &secondary);
    session_liveness_restore_dead(liveness, &data, &secondary, 90 * NS_PER_S);
    cr_expect_eq(view_of(liveness, 'A', 100 * NS_PER_S).state, SESSION_DEAD);
    cr_expect_eq(view_of(liveness, 'B', 100 * NS_PER_S).state, SESSION_UNKNOWN);
    feed(liveness, "A.a1@500", 100 * NS_PER_S);
    cr_expect_eq(view_of(liveness, 'A', 100 * NS_PER_S).state, SESSION_ALIVE);
    cr_expect_eq(view_of(liveness, 'A', 100 * NS_PER_S).restarts, 0);
    cr_expect_eq(view_of(liveness, 'A', 100 * NS_PER_S).born_ns, 90 * NS_PER_S, "it was dead then");
    session_liveness_restore_dead(liveness, &data, &secondary, 90 * NS_PER_S);
    cr_expect_eq(view_of(liveness, 'A', 100 * NS_PER_S).state, SESSION_ALIVE, "lists know better");
    session_liveness_free(liveness);
}

Test(liveness, expected_is_known_without_being_listed)
{
    struct session_liveness *liveness = liveness_make();
    struct session_view view;

    expect(liveness, 'A');
    expect(liveness, 'A');
    cr_expect(session_liveness_at(liveness, 0, 0, &view) && !view.listed);
    cr_expect_not(session_liveness_at(liveness, 1, 0, &view));
    feed(liveness, "A.a1@10", 0);
    cr_expect(session_liveness_at(liveness, 0, 0, &view) && view.listed);
    session_liveness_free(liveness);
}

Test(liveness, configure_keeps_what_is_known)
{
    struct session_liveness *liveness = liveness_make();

    feed(liveness, "A.a1@100", 0);
    cr_expect_eq(view_of(liveness, 'A', 0).state, SESSION_ALIVE);
    session_liveness_configure(liveness, &(struct session_liveness_settings){.hold_ns = 90 * NS_PER_S,
                                                                             .fresh_for_ns = 5 * NS_PER_S});
    cr_expect_eq(view_of(liveness, 'A', 0).state, SESSION_STABLE);
    session_liveness_free(liveness);
}

/*
 * A service that makes up new addresses with every answer costs a bounded amount of memory, and who is listed
 * in the end is known all the same: the dead make room.
 */
Test(liveness, made_up_addresses_are_bounded)
{
    struct session_liveness *liveness = liveness_make();
    struct session_list list = {.items = calloc(1024, sizeof(struct session)), .count = 1024};
    static const struct address nobody;
    enum session_verdict verdict;
    struct session_view view;
    size_t count = 0;

    for (uint32_t round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < list.count; i++) {
            uint32_t n = min_u64(round, 16) * 1024 + i;

            snprintf(list.items[i].uuid, SESSION_UUID_SIZE, "u%u", n);
            list.items[i].data = (struct address){
                .family = AF_INET, .bytes = {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}};
        }
        cr_assert_eq(session_liveness_observe(liveness, &list, &nobody, true, round * NS_PER_S, &verdict), 0);
    }
    while (session_liveness_at(liveness, count, 0, &view))
        count++;
    cr_expect_leq(count, 2048);
    session_liveness_view(liveness, &list.items[1023].data, &nobody, 0, &view);
    cr_expect_eq(view.state, SESSION_ALIVE, "%s", session_state_text(view.state));
    session_list_clear(&list);
    session_liveness_free(liveness);
}
