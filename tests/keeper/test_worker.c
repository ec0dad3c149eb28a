/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: behind a FIB that is slow the keeper's caller never waits, gets every answer that is one, and none
 * that is not; the newest wish counts; nothing moves before it is known what stands; and a hang is told.
 */
#include "route/keeper/guard.h"
#include "tests/keeper/memory_fib.h"
#include "tests/lib/asleep.h"

#include <criterion/criterion.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <pthread.h>

#define OURS  213
#define NODE1 "10.0.0.11"
#define NODE2 "10.0.0.12"
#define NODE3 "10.0.0.13"
#define QUICK (1 * NS_PER_S) /* no call of the keeper takes so long */

struct story {
    struct memory_fib memory;
    struct guard *guard;
    struct keeper_hop hop; /* in use */
    uint64_t ahead_ns;     /* how far the caller's clock is ahead of the keeper's */
    uint32_t wishes;       /* the tag of the last one */
    atomic_int ends;       /* the thread that calls guard_end() next; 0: none yet */
    unsigned told[KEEPER_ANSWERS + 1];
    char tale[256]; /* "STANDS 10.0.0.11, ..." */
    struct keeper_event last;
};

static const char *const kinds[] = {
    [KEEPER_STANDS] = "stands",
    [KEEPER_REFUSED] = "refused",
    [KEEPER_ADOPTED] = "adopted",
    [KEEPER_GONE] = "gone",
    [KEEPER_REPAIRED] = "repaired",
    [KEEPER_REPAIR_FAILED] = "repair-failed",
    [KEEPER_TAKEN_BACK] = "taken-back",
    [KEEPER_REDIRECT_UNDONE] = "redirect-undone",
    [KEEPER_PACKETS] = NULL, /* not told here */
    [KEEPER_UNREADABLE] = "unreadable",
    [KEEPER_HANGS] = "hangs",
    [KEEPER_ANSWERS] = "answers",
};

static struct keeper_hop hop_of(const char *gateway)
{
    return (struct keeper_hop){
        .address = memory_address(gateway), .ifindex = MEMORY_IFINDEX, .on_link = true, .link_usable = true};
}

static void begin(struct story *story)
{
    *story = (struct story){0};
    memory_fib_init_slow(&story->memory);
    cr_assert_eq(
        guard_new(&story->guard, &(struct keeper_settings){.fib = &story->memory.fib,
                                                           .service = memory_address("192.168.33.2")}),
        0);
    cr_assert_geq(guard_fd(story->guard), 0);
}

/* There is a route already, which somebody else set. */
static void begin_beside(struct story *story, const char *gateway)
{
    struct fib_route theirs = memory_route(gateway, RTPROT_STATIC, 0);

    begin(story);
    memory_fib_add(&story->memory, &theirs);
}

static void end(struct story *story)
{
    uint64_t begun_ns = clock_now_ns(CLOCK_MONOTONIC);

    guard_free(story->guard);
    fib_host_clear(&story->memory.fib.host);
    cr_expect_lt(clock_now_ns(CLOCK_MONOTONIC) - begun_ns, 4 * NS_PER_S);
}

static void take_events(struct story *story)
{
    while (guard_next_event(story->guard, &story->last)) {
        const struct keeper_event *event = &story->last;
        size_t n = strlen(story->tale);

        story->told[event->kind]++;
        if (event->kind == KEEPER_STANDS || event->kind == KEEPER_ADOPTED)
            story->hop = hop_of(ADDRESS_TEXT(&event->hop));
        if (kinds[event->kind])
            snprintf(story->tale + n, sizeof(story->tale) - n, "%s%s %s", n ? ", " : "", kinds[event->kind],
                     ADDRESS_TEXT(&event->hop));
    }
}

static void step(struct story *story, bool doubt)
{
    uint64_t begun_ns = clock_now_ns(CLOCK_MONOTONIC);

    guard_step(story->guard, address_is_set(&story->hop.address) ? &story->hop : NULL, doubt,
               begun_ns + story->ahead_ns);
    cr_expect_lt(clock_now_ns(CLOCK_MONOTONIC) - begun_ns, QUICK);
    take_events(story);
}

static void want(struct story *story, const char *gateway)
{
    uint64_t begun_ns = clock_now_ns(CLOCK_MONOTONIC);
    const struct keeper_wish wish = {.to = hop_of(gateway), .tag = ++story->wishes};

    guard_want(story->guard, &wish, begun_ns + story->ahead_ns);
    cr_expect_lt(clock_now_ns(CLOCK_MONOTONIC) - begun_ns, QUICK);
}

/* Steps, as an agent does, until so many of that kind were told. */
static void until(struct story *story, enum keeper_event_kind kind, unsigned count)
{
    for (int i = 0; i < 10000 && story->told[kind] < count; i++) {
        struct pollfd ring = {.fd = guard_fd(story->guard), .events = POLLIN};

        poll(&ring, 1, 1);
        step(story, false);
    }
    cr_assert_geq(story->told[kind], count, "%s: %s", kinds[kind], story->tale);
}

/* Until the keeper's thread has done all that it was asked for. No call of the FIB may wait meanwhile. */
static void until_all_is_done(struct story *story)
{
    cr_assert(falls_asleep(story->memory.caller), "the thread does not come to rest: %s", story->tale);
}

/* Until one more call of the FIB has begun, which waits. */
static void until_one_begins(struct story *story, const atomic_uint *begun, unsigned before)
{
    for (int i = 0; i < 10000 && *begun == before; i++) {
        step(story, false);
        usleep(1000);
    }
    cr_assert_gt(*begun, before);
}

static void move_that_waits(struct story *story, const char *gateway)
{
    unsigned before = story->memory.puts_begun;

    story->memory.put_waits = true;
    want(story, gateway);
    until_one_begins(story, &story->memory.puts_begun, before);
}

static void look_that_waits(struct story *story)
{
    unsigned before = story->memory.lookups_begun;

    story->memory.lookup_waits = true;
    step(story, true);
    until_one_begins(story, &story->memory.lookups_begun, before);
}

/* The route leads to NODE1, and has been told to. */
static void at_home(struct story *story)
{
    begin(story);
    want(story, NODE1);
    until(story, KEEPER_STANDS, 1);
    story->tale[0] = '\0';
}

static const char *gateway_of(struct story *story)
{
    static char text[ADDRESS_TEXT_SIZE];

    return story->memory.count ? address_format(&story->memory.routes[0].gateway, text) : "none";
}

/* The end of a story in which that was told, and in which the route leads there. */
static void end_with(struct story *story, const char *tale, const char *gateway)
{
    cr_expect_str_eq(story->tale, tale, "told: %s, not: %s", story->tale, tale);
    cr_expect_str_eq(gateway_of(story), gateway, "the route leads to %s, not to %s", gateway_of(story),
                     gateway);
    end(story);
}

Test(worker, a_route_that_stands_is_adopted)
{
    struct story story;

    begin_beside(&story, NODE2);
    until(&story, KEEPER_ADOPTED, 1);
    cr_expect_str_eq(story.tale, "adopted " NODE2);
    cr_expect_eq(story.memory.puts, 0);
    end(&story);
}

/* Whose it is was noted by a process of before: that is not forgotten before the first answer, nor by it. */
Test(worker, it_is_known_whose_it_is)
{
    struct address node = memory_address(NODE2);
    struct story story;

    begin_beside(&story, NODE2);
    guard_own(story.guard, &node);
    cr_expect(address_equal(guard_owned(story.guard), &node));
    until(&story, KEEPER_ADOPTED, 1);
    step(&story, false);
    cr_expect(address_equal(guard_owned(story.guard), &node));
    end(&story);
}

Test(worker, a_move_is_answered)
{
    struct story story;

    at_home(&story);
    want(&story, NODE2);
    until(&story, KEEPER_STANDS, 2);
    end_with(&story, "stands " NODE2, NODE2);
}

/* A wish from before the table was known does not move a route that nobody knew of. */
Test(worker, nothing_moves_before_it_is_known_what_stands)
{
    struct story story;

    begin_beside(&story, NODE2);
    look_that_waits(&story);
    want(&story, NODE1);
    step(&story, true);
    story.memory.lookup_waits = false;
    until(&story, KEEPER_ADOPTED, 1);
    step(&story, true);
    until_all_is_done(&story);
    take_events(&story);
    cr_expect_eq(story.memory.puts, 0);
    end_with(&story, "adopted " NODE2, NODE2);
}

Test(worker, without_a_route_the_early_wish_is_fulfilled)
{
    struct story story;

    begin(&story);
    story.memory.list = (struct failure){.times = 2, .error = -EBADMSG};
    want(&story, NODE1);
    until(&story, KEEPER_STANDS, 1);
    cr_expect_str_eq(story.tale, "unreadable -, stands " NODE1, "%s", story.tale);
    end(&story);
}

Test(worker, the_newest_wish_counts)
{
    struct story story;

    at_home(&story);
    move_that_waits(&story, NODE2);
    want(&story, NODE1);
    want(&story, NODE3);
    story.memory.put_waits = false;
    until(&story, KEEPER_STANDS, 3);
    end_with(&story, "stands " NODE2 ", stands " NODE3, NODE3);
}

Test(worker, a_wish_can_be_taken_back)
{
    struct story story;

    at_home(&story);
    move_that_waits(&story, NODE2);
    guard_unwant(story.guard); /* it has begun */
    want(&story, NODE3);
    guard_unwant(story.guard);
    story.memory.put_waits = false;
    until(&story, KEEPER_STANDS, 2);
    guard_unwant(story.guard);
    end_with(&story, "stands " NODE2, NODE2);
}

static void expect_wish(struct story *story, const char *gateway, uint32_t tag)
{
    struct keeper_wish wish = {0};
    bool any = guard_wish(story->guard, &wish);

    cr_expect_eq(any, gateway != NULL, "%s", ADDRESS_TEXT(&wish.to.address));
    if (any && gateway) {
        cr_expect_str_eq(ADDRESS_TEXT(&wish.to.address), gateway);
        cr_expect_eq(wish.tag, tag, "%u", wish.tag);
    }
}

/* The one that waits and the one that is under way are told apart, until the answer was pulled, and by it. */
Test(worker, a_wish_is_known_until_its_answer_is)
{
    struct pollfd ring;
    struct story story;

    at_home(&story); /* by wish 1 */
    ring = (struct pollfd){.fd = guard_fd(story.guard), .events = POLLIN};
    expect_wish(&story, NULL, 0);
    move_that_waits(&story, NODE2);
    expect_wish(&story, NODE2, 2);
    want(&story, NODE3);
    expect_wish(&story, NODE3, 3);
    guard_unwant(story.guard);
    expect_wish(&story, NODE2, 2);
    want(&story, NODE3);
    expect_wish(&story, NODE3, 4);
    want(&story, NODE2); /* where it is going: nothing waits any more */
    expect_wish(&story, NODE2, 2);
    story.memory.put_waits = false;
    cr_assert_eq(poll(&ring, 1, 10000), 1);
    expect_wish(&story, NODE2, 2);
    until(&story, KEEPER_STANDS, 2);
    expect_wish(&story, NULL, 0);
    cr_expect_eq(story.last.tag, 2, "%u", story.last.tag);
    cr_expect_str_eq(story.tale, "stands " NODE2, "%s", story.tale);
    end(&story);
}

/* One that failed without an answer is tried again when it was wanted again meanwhile, or wished for once more. */
Test(worker, a_move_can_be_wanted_again)
{
    for (unsigned i = 0; i < 2; i++) {
        struct story story;

        at_home(&story);
        story.memory.put = (struct failure){.times = 1, .error = -ETIMEDOUT};
        move_that_waits(&story, NODE2);
        guard_unwant(story.guard);
        if (i == 0)
            guard_want_still(story.guard);
        else
            want(&story, NODE2);
        story.memory.put_waits = false;
        until(&story, KEEPER_STANDS, 2);
        end_with(&story, "unreadable " NODE2 ", stands " NODE2, NODE2);
    }
}

static const struct {
    int error;
    unsigned times;
    const char *tale;
} failures[] = {
    {-EREMOTEIO, 1, "refused " NODE2}, /* an answer */
    {-ETIMEDOUT, 2,
     "unreadable " NODE2 ", stands " NODE2}, /* none: told once, and tried until there is one */
    {-EBADMSG, 3, "unreadable " NODE2 ", stands " NODE2},
    {-EIO, 1, "unreadable " NODE2 ", stands " NODE2},
};

Test(worker, what_is_not_known_is_no_answer, .timeout = 60)
{
    for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
        bool refused = failures[i].times == 1 && failures[i].error == -EREMOTEIO;
        struct story story;

        at_home(&story);
        story.memory.put = (struct failure){.times = failures[i].times, .error = failures[i].error};
        want(&story, NODE2);
        until(&story, refused ? KEEPER_REFUSED : KEEPER_STANDS, refused ? 1 : 2);
        cr_expect_str_eq(story.tale, failures[i].tale, "%d: %s", failures[i].error, story.tale);
        cr_expect_eq(story.told[KEEPER_UNREADABLE], refused ? 0 : 1, "%s", story.tale);
        cr_expect_str_eq(gateway_of(&story), refused ? NODE1 : NODE2);
        end(&story);
    }
}

/* One that was not wanted any more when it failed is answered, and not tried again. */
Test(worker, an_unwanted_move_is_not_tried_again)
{
    struct story story;

    at_home(&story);
    story.memory.put = (struct failure){.times = 1, .error = -ETIMEDOUT};
    move_that_waits(&story, NODE2);
    guard_unwant(story.guard);
    story.memory.put_waits = false;
    until(&story, KEEPER_REFUSED, 1);
    end_with(&story, "refused " NODE2, NODE1);
}

/* A newer wish takes the place of one that failed. */
Test(worker, what_is_tried_again_is_the_newest)
{
    struct story story;

    at_home(&story);
    story.memory.put = (struct failure){.times = 1, .error = -ETIMEDOUT};
    move_that_waits(&story, NODE2);
    want(&story, NODE3);
    story.memory.put_waits = false;
    until(&story, KEEPER_STANDS, 2);
    cr_expect_eq(story.last.tag, story.wishes, "%u", story.last.tag);
    expect_wish(&story, NULL, 0);
    cr_expect_str_eq(story.tale, "unreadable " NODE2 ", stands " NODE3, "%s", story.tale);
    end(&story);
}

/* What the caller says of the path in use counts only when he has heard all. */
Test(worker, answers_are_heard_before_a_look)
{
    struct pollfd ring;
    struct story story;

    at_home(&story);
    want(&story, NODE2);
    ring = (struct pollfd){.fd = guard_fd(story.guard), .events = POLLIN};
    cr_assert_eq(poll(&ring, 1, 10000), 1);
    guard_step(story.guard, &story.hop, true, clock_now_ns(CLOCK_MONOTONIC));
    until_all_is_done(&story);
    take_events(&story);
    end_with(&story, "stands " NODE2, NODE2);
}

Test(worker, a_look_that_hangs_is_given_up_for_a_move)
{
    struct story story;

    at_home(&story);
    look_that_waits(&story);
    want(&story, NODE2);
    until(&story, KEEPER_STANDS, 2);
    cr_expect_str_eq(story.tale, "stands " NODE2, "%s", story.tale);
    end(&story);
}

/* The pause between looks that fail grows; a move does not wait for it. */
Test(worker, a_move_does_not_wait_for_looks_that_fail)
{
    struct story story;
    uint64_t begun_ns;

    at_home(&story);
    story.memory.lookup = (struct failure){.times = 5, .error = -EBADMSG};
    step(&story, true);
    for (int i = 0; i < 10000 && story.memory.lookup.times > 0; i++) {
        step(&story, false);
        usleep(1000);
    }
    cr_assert_eq(story.memory.lookup.times, 0);
    until_all_is_done(&story); /* but for the pause after the fifth */
    begun_ns = clock_now_ns(CLOCK_MONOTONIC);
    want(&story, NODE2);
    until(&story, KEEPER_STANDS, 2);
    cr_expect_lt(clock_now_ns(CLOCK_MONOTONIC) - begun_ns, 3 * NS_PER_S); /* the pause is 4 s by now */
    cr_expect_str_eq(story.tale, "unreadable " NODE1 ", stands " NODE2, "%s", story.tale);
    end(&story);
}

Test(worker, a_hang_is_told_once_and_so_is_its_end)
{
    struct story story;

    at_home(&story);
    move_that_waits(&story, NODE2);
    cr_expect_eq(story.told[KEEPER_HANGS], 0);
    cr_expect_eq(guard_silent_since_ns(story.guard), 0);
    story.ahead_ns = 3 * NS_PER_S;
    for (int i = 0; i < 5; i++)
        step(&story, true);
    cr_expect_eq(story.told[KEEPER_HANGS], 1, "%s", story.tale);
    cr_expect_geq(story.last.took_ns, 2 * NS_PER_S);
    cr_expect_neq(guard_silent_since_ns(story.guard), 0);
    story.memory.put_waits = false;
    until(&story, KEEPER_STANDS, 2);
    until(&story, KEEPER_ANSWERS, 1);
    cr_expect_eq(guard_silent_since_ns(story.guard), 0);
    cr_expect_eq(story.told[KEEPER_HANGS], 1);
    end(&story);
}

/* Between moves the route is looked after, by the caller's knowledge of the path in use. */
Test(worker, what_vanishes_is_put_back)
{
    struct story story;

    at_home(&story);
    memory_fib_remove(&story.memory, 0);
    story.ahead_ns = 11 * NS_PER_S; /* time passes, nothing else happens */
    until(&story, KEEPER_REPAIRED, 1);
    cr_expect_str_eq(gateway_of(&story), NODE1);
    end(&story);
}

/* What cannot be put back is tried again by itself, as long as it takes, and told once. */
Test(worker, what_cannot_be_put_back_is_tried_again, .timeout = 60)
{
    struct story story;

    at_home(&story);
    memory_fib_remove(&story.memory, 0);
    story.memory.put = (struct failure){.times = 3, .error = -EREMOTEIO};
    step(&story, true);
    until(&story, KEEPER_REPAIRED, 1);
    cr_expect_str_eq(story.tale, "repair-failed " NODE1 ", repaired " NODE1, "%s", story.tale);
    end(&story);
}

/* A host that is out of file descriptors, say: whatever the error is, nothing is known by it. */
Test(worker, what_cannot_be_read_is_read_again_whatever_the_error, .timeout = 60)
{
    struct story story;

    begin_beside(&story, NODE2);
    story.memory.list = (struct failure){.times = 2, .error = -EMFILE};
    want(&story, NODE1);
    until(&story, KEEPER_ADOPTED, 1);
    cr_expect_str_eq(story.tale, "unreadable -, adopted " NODE2, "%s", story.tale);
    end(&story);
}

/* The end does not wait for the pause that has grown after failures. */
Test(worker, the_end_tries_at_once, .timeout = 60)
{
    struct story story;
    unsigned begun;

    at_home(&story);
    memory_fib_remove(&story.memory, 0);
    story.memory.put = (struct failure){.times = 5, .error = -EREMOTEIO};
    begun = story.memory.puts_begun;
    for (unsigned i = 0; i < 5; i++)
        until_one_begins(&story, &story.memory.puts_begun, begun + i);
    until(&story, KEEPER_REPAIR_FAILED, 1); /* the pause is 4 s by now, or will be in a moment */
    cr_expect(guard_end(story.guard, &story.hop, 3 * NS_PER_S));
    take_events(&story);
    cr_expect_str_eq(gateway_of(&story), NODE1, "%s", story.tale);
    end(&story);
}

Test(worker, who_follows_puts_nothing_back)
{
    struct story story;

    begin(&story);
    want(&story, NODE1);
    until(&story, KEEPER_STANDS, 1);
    guard_follow(story.guard, true);
    memory_fib_remove(&story.memory, 0);
    until(&story, KEEPER_GONE, 1);
    cr_expect_eq(story.memory.count, 0);
    cr_expect_str_eq(story.tale, "stands " NODE1 ", gone " NODE1);
    end(&story);
}

Test(worker, it_ends_while_a_look_hangs)
{
    struct story story;

    at_home(&story);
    look_that_waits(&story);
    cr_expect(guard_end(story.guard, &story.hop, NEVER_NS), "nothing was being changed");
    end(&story);
}

/* Lets a move go when the one who ends the guard waits for it, and has not given it up. */
static void *let_go_later(void *context)
{
    struct story *story = context;

    while (!story->ends)
        sched_yield();
    if (falls_asleep(story->ends) && !story->memory.fib.ending)
        story->memory.put_waits = false;
    return NULL;
}

/* guard_end() while a move waits, which is let go then. */
static bool end_during_a_move(struct story *story, uint64_t wait_ns)
{
    pthread_t thread;
    bool settled;

    cr_assert_eq(pthread_create(&thread, NULL, let_go_later, story), 0);
    story->ends = gettid();
    settled = guard_end(story->guard, &story->hop, wait_ns);
    pthread_join(thread, NULL);
    return settled;
}

Test(worker, the_end_waits_for_a_move)
{
    struct story story;

    at_home(&story);
    move_that_waits(&story, NODE2);
    cr_expect(end_during_a_move(&story, 20 * NS_PER_S));
    take_events(&story);
    end_with(&story, "stands " NODE2, NODE2);
}

Test(worker, the_end_waits_no_longer_than_it_is_told)
{
    struct story story;

    at_home(&story);
    move_that_waits(&story, NODE2);
    cr_expect_not(guard_end(story.guard, &story.hop, 100 * NS_PER_MS), "it is not known what stands");
    take_events(&story);
    cr_expect_eq(story.told[KEEPER_STANDS], 1, "%s", story.tale);
    end(&story);
}

/* What had no answer is made again at the end, and looked after when it is refused then; where that route cannot stand
 * there is none. */
Test(worker, the_end_looks_after_a_move_that_is_refused)
{
    for (unsigned link_usable = 0; link_usable < 2; link_usable++) {
        struct story story;

        at_home(&story);
        story.memory.put = (struct failure){.times = 2, .error = -ETIMEDOUT, .last_error = -EREMOTEIO};
        move_that_waits(&story, NODE2);
        memory_fib_remove(&story.memory, 0); /* as by a delete before the add */
        story.memory.put_waits = false;
        until(&story, KEEPER_UNREADABLE, 1);
        story.hop.link_usable = link_usable;
        cr_expect_eq(guard_end(story.guard, &story.hop, 20 * NS_PER_S), link_usable);
        take_events(&story);
        end_with(&story,
                 link_usable ? "unreadable " NODE2 ", refused " NODE2 ", repaired " NODE1
                             : "unreadable " NODE2 ", refused " NODE2,
                 link_usable ? NODE1 : "none");
    }
}

/* Where none stood before, none is missing. */
Test(worker, the_end_after_a_first_move_that_is_refused)
{
    struct story story;

    begin(&story);
    story.memory.put = (struct failure){.times = 1, .error = -EREMOTEIO};
    want(&story, NODE1);
    until(&story, KEEPER_REFUSED, 1);
    cr_expect(guard_end(story.guard, NULL, 20 * NS_PER_S));
    take_events(&story);
    end_with(&story, "refused " NODE1, "none");
}

/* Half of a move may be done: what failed without an answer is made again, what was answered is looked at. */
static const struct {
    const char *what;
    struct failure put;
    enum { BEFORE, UNWANTED, DURING } failing; /* before the end, not wanted any more, or during it */
    bool settled;
    const char *gateway;
} ends[] = {
    {"no answer", {.times = 1, .error = -ETIMEDOUT}, BEFORE, true, NODE2},
    {"no answer twice", {.times = 2, .error = -ETIMEDOUT}, BEFORE, true, NODE2},
    {"no answer, and not wanted any more", {.times = 1, .error = -ETIMEDOUT}, UNWANTED, true, NODE1},
    {"no answer while it ends", {.times = 1, .error = -ETIMEDOUT}, DURING, true, NODE2},
    {"refused", {.times = 1, .error = -EREMOTEIO}, BEFORE, true, NODE1},
    {"refused while it ends", {.times = 1, .error = -EREMOTEIO}, DURING, true, NODE1},
    {"refused, and not to be put back", {.times = 1000, .error = -EREMOTEIO}, BEFORE, false, "none"},
    {"never an answer", {.times = 1000, .error = -ETIMEDOUT}, BEFORE, false, "none"},
};

Test(worker, the_end_leaves_a_route, .timeout = 60)
{
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        bool answered = ends[i].failing == UNWANTED || ends[i].put.error == -EREMOTEIO;
        uint64_t wait_ns = ends[i].settled ? 20 * NS_PER_S : 3 * NS_PER_S;
        struct story story;
        bool settled;

        at_home(&story);
        move_that_waits(&story, NODE2);
        if (ends[i].failing == UNWANTED)
            guard_unwant(story.guard);
        story.memory.put = ends[i].put;
        memory_fib_remove(&story.memory, 0); /* as by a delete before the add */
        if (ends[i].failing == DURING) {
            settled = end_during_a_move(&story, wait_ns);
        } else {
            story.memory.put_waits = false;
            until(&story, answered ? KEEPER_REFUSED : KEEPER_UNREADABLE, 1);
            settled = guard_end(story.guard, &story.hop, wait_ns);
        }
        cr_expect_eq(settled, ends[i].settled, "%s", ends[i].what);
        take_events(&story);
        cr_expect_str_eq(gateway_of(&story), ends[i].gateway, "%s: %s", ends[i].what, story.tale);
        end(&story);
    }
}
