/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/session/client.h"

#include "tests/lib/netns.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <sched.h>
#include <sys/mount.h>

#define DEADLINE_NS (20 * NS_PER_S)

struct session_provider_settings client_settings(void)
{
    return (struct session_provider_settings){
        .kind = "rest", .port = CLIENT_PORT, .timeout_ns = 10 * NS_PER_S, .hedge_ns = 10 * NS_PER_S};
}

/* Files that the test makes there are gone with it, however it ends. */
static int private_tmp(void)
{
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", "/tmp", "tmpfs", 0, NULL) < 0)
        return -errno;
    return 0;
}

void client_open(struct client *client)
{
    int r = netns_enter();

    if (r == 0)
        r = private_tmp();
    if (r < 0)
        cr_skip_test("no namespaces: %s", strerror(-r));
    *client = (struct client){.base = event_base_new()};
    cr_assert_not_null(client->base);
}

void client_provider(struct client *client, const struct session_provider_settings *settings)
{
    char message[256] = "";

    client->provider = session_provider_free(client->provider);
    cr_assert_eq(session_provider_new(&client->provider, client->base, settings, message, sizeof(message)), 0,
                 "%s", message);
}

void client_close(struct client *client)
{
    session_provider_free(client->provider);
    event_base_free(client->base);
}

void client_answered(void *context, const struct session_answer *answer)
{
    struct client *client = context;

    client->answers++;
    client->error = answer->error;
    client->origin = answer->origin;
    client->skipped = answer->skipped;
    client->unasked = answer->unasked;
    client->took_ns = answer->took_ns;
    client->count = answer->list ? answer->list->count : SIZE_MAX;
    client->uuid[0] = '\0';
    if (answer->list && answer->list->count)
        memcpy(client->uuid, answer->list->items[0].uuid, sizeof(client->uuid));
    snprintf(client->message, sizeof(client->message), "%s", answer->message);
    event_base_loopbreak(client->base);
}

static void on_deadline(evutil_socket_t fd, short what, void *context)
{
    *(bool *)context = true;
}

static void run(struct client *client, unsigned answers, uint64_t ns)
{
    struct timeval tv = {.tv_sec = (time_t)(ns / NS_PER_S),
                         .tv_usec = (suseconds_t)(ns % NS_PER_S / NS_PER_US)};
    bool over = false;
    struct event *deadline = event_new(client->base, -1, 0, on_deadline, &over);

    event_add(deadline, &tv);
    while (client->answers < answers && !over)
        cr_assert_geq(event_base_loop(client->base, EVLOOP_ONCE), 0);
    event_free(deadline);
}

void client_wait(struct client *client, unsigned answers)
{
    run(client, answers, DEADLINE_NS);
    cr_assert_eq(client->answers, answers, "%u answers, expected %u", client->answers, answers);
}

void client_idle(struct client *client, uint64_t ns)
{
    run(client, UINT32_MAX, ns);
}

size_t endpoints_make(const char *text, struct session_endpoint *endpoints, size_t room)
{
    size_t count = 0;

    for (int used; *text; text += used) {
        char address[ADDRESS_TEXT_SIZE];

        cr_assert_lt(count, room);
        cr_assert_eq(sscanf(text, " %u=%62s%n", &endpoints[count].access, address, &used), 2);
        cr_assert_eq(address_parse(&endpoints[count++].address, address), 0, "%s", address);
    }
    return count;
}

void client_list(struct client *client, const char *text)
{
    struct session_endpoint endpoints[16];
    size_t count = endpoints_make(text, endpoints, ARRAY_SIZE(endpoints));

    cr_assert_eq(session_provider_list(client->provider, endpoints, count, client_answered, client), 0);
    client_wait(client, client->answers + 1);
}

unsigned open_fds(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;

    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}
