/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper and fib_replace() when the kernel fails half way, answers late or not at all, and when others
 * change the route: what stands afterwards, what is told, and how often the kernel is asked.
 */
#include "route/keeper/keeper.h"
#include "tests/keeper/memory_fib.h"

#include <criterion/criterion.h>
#include <linux/rtnetlink.h>

#define OURS  213
#define NODE1 "10.0.0.11"
#define NODE2 "10.0.0.12"

struct story {
    struct memory_fib memory;
    struct keeper *keeper;
    struct keeper_hop hop;
    uint64_t now_ns;
    uint32_t wishes; /* the tag of the last one */
    unsigned told[KEEPER_UNREADABLE + 1];
    struct keeper_event last;
};

static void begin(struct story *story)
{
    *story = (struct story){.now_ns = 1000 * NS_PER_S};
    memory_fib_init(&story->memory);
    cr_assert_eq(
        keeper_new(&story->keeper, &(struct keeper_settings){.fib = &story->memory.fib,
                                                             .service = memory_address("192.168.33.2")}),
        0);
}

static void end(struct story *story)
{
    keeper_free(story->keeper);
    fib_host_clear(&story->memory.fib.host);
}

static void take_events(struct story *story)
{
    while (keeper_next_event(story->keeper, &story->last)) {
        story->told[story->last.kind]++;
        if (story->last.kind == KEEPER_STANDS || story->last.kind == KEEPER_REFUSED)
            cr_expect_eq(story->last.tag, story->wishes);
        if (story->last.kind == KEEPER_STANDS || story->last.kind == KEEPER_ADOPTED)
            story->hop = (struct keeper_hop){
                .address = story->last.hop, .ifindex = MEMORY_IFINDEX, .on_link = true, .link_usable = true};
    }
}

static void want(struct story *story, const char *gateway)
{
    const struct keeper_wish wish = {.to = {.address = memory_address(gateway),
                                            .ifindex = MEMORY_IFINDEX,
                                            .on_link = true,
                                            .link_usable = true},
                                     .tag = ++story->wishes};

    keeper_want(story->keeper, &wish, story->now_ns);
    take_events(story);
}

/* Something happened to the host's routes, which a notification tells. */
static void look_after(struct story *story, uint64_t wait_ns)
{
    story->now_ns += wait_ns;
    keeper_doubt(story->keeper);
    keeper_step(story->keeper, address_is_set(&story->hop.address) ? &story->hop : NULL, false,
                story->now_ns);
    take_events(story);
}

/* The one route that stands, or how many there are. */
static const char *stands(const struct story *story)
{
    static char text[256];

    if (story->memory.count == 1)
        return fib_route_text(&story->memory.routes[0], text, sizeof(text));
    snprintf(text, sizeof(text), "%zu routes", story->memory.count);
    return text;
}

#define OURS_TO(node) "192.168.33.2/32 via " node " dev if4711 proto 213 metric 0"

/* --- a put that succeeded is a move, whatever fails afterwards --- */

struct broken_move {
    const char *what;
    struct failure list, drop, lookup;
};

static const struct broken_move broken_moves[] = {
    {"nothing fails", {0}, {0}, {0}},
    {"the list of our other routes", {.times = 1, .error = -EINTR}, {0}, {0}},
    {"the removal of another route of ours", {0}, {.times = 1, .error = -EBUSY}, {0}},
    {"the lookup of the new way", {0}, {0}, {.after = 1, .times = 1, .error = -ETIMEDOUT}},
    {"and the keeper's own look", {0}, {0}, {.after = 1, .times = 2, .error = -ETIMEDOUT}},
};

Test(keeper, a_put_decides_the_move)
{
    for (size_t i = 0; i < ARRAY_SIZE(broken_moves); i++) {
        const struct broken_move *row = &broken_moves[i];
        struct fib_route other = memory_route(NODE1, OURS, 7);
        struct story story;

        begin(&story);
        want(&story, NODE1);
        memory_fib_add(&story.memory, &other);
        story.memory.list = row->list;
        story.memory.drop = row->drop;
        story.memory.lookup = row->lookup;
        want(&story, NODE2);
        cr_expect_eq(story.told[KEEPER_STANDS], 2, "%s: not told", row->what);
        cr_expect_eq(story.told[KEEPER_REFUSED], 0, "%s: refused", row->what);
        look_after(&story, NS_PER_S);
        cr_expect_str_eq(fib_route_text(&story.memory.routes[0], (char[128]){0}, 128), OURS_TO(NODE2), "%s",
                         row->what);
        want(&story, NODE1); /* what could not be removed is by now */
        cr_expect_str_eq(stands(&story), OURS_TO(NODE1), "%s: %s", row->what, stands(&story));
        cr_expect_eq(keeper_report(story.keeper)->packets, PACKETS_OURS, "%s", row->what);
        end(&story);
    }
}

Test(keeper, a_put_that_fails_refuses_the_move)
{
    struct story story;

    begin(&story);
    want(&story, NODE1);
    story.memory.put = (struct failure){.times = 1, .error = -ENETUNREACH};
    want(&story, NODE2);
    cr_expect_eq(story.told[KEEPER_REFUSED], 1);
    cr_expect_eq(story.last.error, -ENETUNREACH);
    cr_expect_gt(story.last.took_ns, 0, "and says what the try took");
    cr_expect_str_eq(stands(&story), OURS_TO(NODE1));
    end(&story);
}

Test(keeper, more_routes_of_ours_than_one_list_shows)
{
    struct story story;

    begin(&story);
    for (uint32_t metric = 1; metric <= 40; metric++) {
        struct fib_route other = memory_route(NODE2, OURS, metric);

        memory_fib_add(&story.memory, &other);
    }
    want(&story, NODE1);
    want(&story, NODE2);
    cr_expect_str_eq(stands(&story), OURS_TO(NODE2));
    end(&story);
}

/* --- who only follows --- */

static void redirect(struct story *story, bool shared)
{
    story->memory.detoured = memory_address(NODE1);
    story->memory.detour = memory_address(NODE2);
    story->memory.detour_is_shared = shared;
}

Test(keeper, who_follows_touches_nothing)
{
    struct fib_route other = memory_route(NODE2, RTPROT_STATIC, 0);
    struct story story;
    unsigned puts;

    begin(&story);
    want(&story, NODE1);
    keeper_follow(story.keeper, true);
    puts = story.memory.puts;
    redirect(&story, false);
    look_after(&story, NS_PER_S);
    cr_expect_eq(keeper_report(story.keeper)->packets, PACKETS_REDIRECTED);
    memory_fib_remove(&story.memory, 0);
    look_after(&story, NS_PER_S);
    cr_expect_eq(story.told[KEEPER_GONE], 1);
    story.hop = (struct keeper_hop){0};
    memory_fib_add(&story.memory, &other);
    look_after(&story, NS_PER_S);
    cr_expect_eq(story.told[KEEPER_ADOPTED], 1);
    cr_expect_eq(story.memory.puts, puts);
    cr_expect_eq(story.told[KEEPER_REPAIRED] + story.told[KEEPER_REDIRECT_UNDONE], 0);
    keeper_follow(story.keeper, false);
    memory_fib_remove(&story.memory, 0);
    look_after(&story, NS_PER_S);
    cr_expect_eq(story.told[KEEPER_REPAIRED], 1, "it keeps what it adopted meanwhile");
    cr_expect_str_eq(stands(&story), OURS_TO(NODE2));
    end(&story);
}

/* What could not be put back is not waited for by who only follows. */
Test(keeper, who_follows_repairs_nothing)
{
    struct story story;

    begin(&story);
    want(&story, NODE1);
    memory_fib_remove(&story.memory, 0);
    story.memory.put = (struct failure){.times = 1, .error = -EREMOTEIO};
    look_after(&story, NS_PER_S);
    cr_expect(keeper_report(story.keeper)->unrepaired);
    keeper_follow(story.keeper, true);
    look_after(&story, NS_PER_S);
    cr_expect_not(keeper_report(story.keeper)->unrepaired);
    end(&story);
}

/* --- redirects --- */

Test(keeper, a_redirect_is_undone)
{
    struct story story;

    begin(&story);
    want(&story, NODE1);
    redirect(&story, false);
    look_after(&story, NS_PER_S);
    cr_expect_eq(story.told[KEEPER_REDIRECT_UNDONE], 1);
    cr_expect_eq(keeper_report(story.keeper)->redirects, 1);
    cr_expect_eq(keeper_report(story.keeper)->packets, PACKETS_OURS);
    cr_expect_str_eq(stands(&story), OURS_TO(NODE1));
    end(&story);
}

/* Our own puts are told to us as changes, so each look is followed by another one. */
Test(keeper, a_redirect_that_stays_is_tried_once_a_second)
{
    struct story story;
    unsigned before;

    begin(&story);
    want(&story, NODE1);
    redirect(&story, true);
    story.memory.forget_error = -EROFS;
    before = story.memory.puts;
    for (int i = 0; i < 300; i++)
        look_after(&story, 10 * NS_PER_MS);
    cr_expect_eq(keeper_report(story.keeper)->packets, PACKETS_REDIRECTED);
    cr_expect_leq(story.memory.puts - before, 3 * 2, "%u puts in three seconds", story.memory.puts - before);
    cr_expect_geq(story.memory.puts - before, 2 * 2, "%u puts in three seconds", story.memory.puts - before);
    story.memory.forget_error = 0;
    look_after(&story, NS_PER_S);
    cr_expect_eq(keeper_report(story.keeper)->packets, PACKETS_OURS, "it is undone as soon as it can be");
    end(&story);
}

Test(keeper, a_renewal_that_broke_off_is_finished)
{
    struct story story;

    begin(&story);
    want(&story, NODE1);
    redirect(&story, false);
    story.memory.put = (struct failure){.after = 1, .times = 1, .error = -ENOBUFS};
    look_after(&story, NS_PER_S);
    cr_expect(address_is_set(&story.memory.routes[0].source), "half done: the test tests nothing");
    look_after(&story, NS_PER_S);
    cr_expect_str_eq(stands(&story), OURS_TO(NODE1));
    end(&story);
}

/* --- what could not be asked is not told --- */

Test(keeper, a_look_that_failed_after_a_repair_tells_nothing)
{
    struct story story;

    begin(&story);
    want(&story, NODE1);
    story.memory.count = 0;
    story.memory.lookup =
        (struct failure){.after = 3, .times = 1, .error = -ETIMEDOUT}; /* the keeper's second one */
    story.told[KEEPER_PACKETS] = 0;
    look_after(&story, NS_PER_S);
    cr_expect_eq(story.told[KEEPER_REPAIRED], 1);
    cr_expect_eq(story.told[KEEPER_UNREADABLE], 1, "the test tests nothing");
    cr_expect_eq(story.told[KEEPER_PACKETS], 0, "told \"%s\" without asking", story.last.text);
    end(&story);
}

Test(keeper, a_list_that_failed_is_asked_for_again)
{
    struct story story;

    begin(&story);
    want(&story, NODE1);
    story.memory.count = 0;
    story.memory.list = (struct failure){.times = 1, .error = -EINTR};
    look_after(&story, NS_PER_S);
    cr_expect_eq(story.told[KEEPER_REPAIRED], 0);
    story.now_ns += NS_PER_S; /* nothing has happened since: no notification */
    keeper_step(story.keeper, &story.hop, false, story.now_ns);
    take_events(&story);
    cr_expect_eq(story.told[KEEPER_REPAIRED], 1);
    cr_expect_str_eq(stands(&story), OURS_TO(NODE1));
    end(&story);
}

/* --- repairs --- */

Test(keeper, a_failure_is_told_again_when_another_one_put_ours_back_in_between)
{
    struct fib_route ours = memory_route(NODE1, OURS, 0);
    struct story story;

    begin(&story);
    want(&story, NODE1);
    for (unsigned times = 1; times <= 2; times++) {
        story.memory.count = 0;
        story.memory.put = (struct failure){.times = 3, .error = -ENETUNREACH};
        for (int i = 0; i < 3; i++)
            look_after(&story, NS_PER_S);
        cr_expect_eq(story.told[KEEPER_REPAIR_FAILED], times);
        memory_fib_add(&story.memory, &ours);
        look_after(&story, NS_PER_S);
    }
    end(&story);
}

Test(keeper, nothing_is_put_while_the_link_is_down)
{
    struct story story;

    begin(&story);
    want(&story, NODE1);
    story.memory.count = 0;
    story.hop.link_usable = false;
    story.memory.puts = 0;
    look_after(&story, NS_PER_S);
    cr_expect_eq(story.memory.puts, 0);
    story.hop.link_usable = true;
    look_after(&story, 0);
    cr_expect_str_eq(stands(&story), OURS_TO(NODE1), "at once when it is up again");
    end(&story);
}

/* --- adopted routes --- */

Test(keeper, an_adopted_route_stays_the_others_over_a_refused_repair)
{
    struct fib_route theirs = memory_route(NODE1, RTPROT_STATIC, 5);
    struct story story;

    begin(&story);
    memory_fib_add(&story.memory, &theirs);
    look_after(&story, 0);
    cr_expect_eq(story.told[KEEPER_ADOPTED], 1);
    cr_expect_not(story.last.ours);
    story.memory.count = 0;
    story.memory.put = (struct failure){.times = 1, .error = -ENETUNREACH};
    look_after(&story, NS_PER_S);
    cr_expect_eq(story.told[KEEPER_REPAIR_FAILED], 1);
    memory_fib_add(&story.memory, &theirs);
    look_after(&story, NS_PER_S);
    cr_expect_str_eq(stands(&story), "192.168.33.2/32 via " NODE1 " dev if4711 proto static metric 5");
    end(&story);
}

Test(keeper, a_route_for_one_type_of_service_is_not_adopted)
{
    struct fib_route theirs = memory_route(NODE1, RTPROT_STATIC, 0);
    struct story story;

    begin(&story);
    theirs.tos = 0x10;
    memory_fib_add(&story.memory, &theirs);
    look_after(&story, 0);
    cr_expect_eq(story.told[KEEPER_ADOPTED], 0);
    end(&story);
}

Test(keeper, what_replaced_ours_is_taken_back)
{
    struct story story;

    begin(&story);
    want(&story, NODE1);
    story.memory.routes[0] = memory_route(NODE2, RTPROT_STATIC, 0); /* ip route replace */
    look_after(&story, NS_PER_S);
    cr_expect_eq(story.told[KEEPER_TAKEN_BACK], 1);
    cr_expect_str_eq(stands(&story), OURS_TO(NODE1));
    end(&story);
}

/* It was adopted, and its place is where ours belongs. */
Test(keeper, what_replaced_an_adopted_route_is_taken_back)
{
    struct fib_route theirs = memory_route(NODE1, RTPROT_STATIC, 0);
    struct story story;

    begin(&story);
    memory_fib_add(&story.memory, &theirs);
    look_after(&story, 0);
    story.memory.routes[0] = memory_route(NODE2, RTPROT_STATIC, 0);
    look_after(&story, NS_PER_S);
    cr_expect_eq(story.told[KEEPER_TAKEN_BACK], 1);
    cr_expect_str_eq(stands(&story), OURS_TO(NODE1));
    want(&story, NODE2);
    cr_expect_eq(story.told[KEEPER_STANDS], 1, "and failover goes on");
    end(&story);
}

/* The adopted one stands still: the other one was never in the place of ours. */
Test(keeper, what_stands_in_front_of_an_adopted_route_is_left_alone)
{
    struct fib_route theirs = memory_route(NODE1, RTPROT_STATIC, 5),
                     front = memory_route(NODE2, RTPROT_STATIC, 0);
    struct story story;

    begin(&story);
    memory_fib_add(&story.memory, &theirs);
    look_after(&story, 0);
    memory_fib_add(&story.memory, &front);
    look_after(&story, NS_PER_S);
    cr_expect_eq(story.told[KEEPER_TAKEN_BACK], 0);
    cr_expect_eq(story.memory.count, 2);
    cr_expect_eq(keeper_report(story.keeper)->packets, PACKETS_SHADOWED);
    want(&story, NODE2);
    cr_expect_eq(story.told[KEEPER_REFUSED], 1);
    end(&story);
}

/* A move away from an adopted route of a better metric: what hides ours is removed as soon as it can be. */
Test(keeper, an_adopted_route_that_could_not_be_removed)
{
    struct fib_route theirs = memory_route(NODE1, RTPROT_STATIC, 0);
    struct story story;

    begin(&story);
    story.memory.fib.metric = 50;
    memory_fib_add(&story.memory, &theirs);
    look_after(&story, 0);
    story.memory.drop = (struct failure){.times = 1, .error = -ENOBUFS};
    want(&story, NODE2);
    cr_expect_eq(story.told[KEEPER_STANDS], 1);
    cr_expect_eq(story.memory.count, 2, "the test tests nothing");
    look_after(&story, NS_PER_S);
    cr_expect_str_eq(stands(&story), "192.168.33.2/32 via " NODE2 " dev if4711 proto 213 metric 50");
    cr_expect_eq(keeper_report(story.keeper)->packets, PACKETS_OURS);
    end(&story);
}

/* --- the host --- */

Test(keeper, a_host_that_cannot_be_read_is_not_a_host_without_links)
{
    struct address node = memory_address(NODE1), source;
    struct fib_link link;
    struct story story;
    uint32_t ifindex;

    begin(&story);
    story.memory.load = (struct failure){.times = 2, .error = -EINTR};
    cr_expect_eq(fib_egress(&story.memory.fib, &node, &ifindex, &source), -EINTR);
    cr_expect_eq(fib_link(&story.memory.fib, MEMORY_IFINDEX, &link), -EINTR);
    cr_expect_eq(fib_link(&story.memory.fib, MEMORY_IFINDEX, &link), 0);
    cr_expect(link.usable);
    cr_expect_eq(fib_link(&story.memory.fib, 3, &link), -ENODEV);
    story.memory.lookup = (struct failure){.times = 1, .error = -ETIMEDOUT};
    cr_expect_eq(fib_egress(&story.memory.fib, &node, &ifindex, &source), -ETIMEDOUT);
    end(&story);
}
