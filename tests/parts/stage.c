/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/parts/stage.h"

#include <criterion/criterion.h>

struct address stage_address(int network, int node)
{
    return (struct address){.family = AF_INET, .bytes = {10, (uint8_t)network, 0, (uint8_t)node}};
}

/* --- the provider --- */

static struct stage *stage_of(struct session_provider *provider)
{
    return (struct stage *)((char *)provider - offsetof(struct stage, provider));
}

static int note(struct stage *stage, struct stage_request *request, const struct session_endpoint *endpoints,
                size_t count, const char *text, session_answer_fn *done, void *context)
{
    request->count++;
    request->endpoint_count = count;
    memcpy(request->endpoints, endpoints, count * sizeof(*endpoints));
    snprintf(request->text, sizeof(request->text), "%s", text);
    request->done = stage->refuse ? NULL : done;
    request->context = context;
    return stage->refuse;
}

static int list(struct session_provider *provider, const struct session_endpoint *endpoints, size_t count,
                session_answer_fn *done, void *context)
{
    struct stage *stage = stage_of(provider);

    return note(stage, &stage->list, endpoints, count, "", done, context);
}

static int refresh(struct session_provider *provider, const struct session_endpoint *endpoints, size_t count,
                   const char *uuid, const char *client_addresses, session_answer_fn *done, void *context)
{
    struct stage *stage = stage_of(provider);

    return note(stage, &stage->refresh, endpoints, count, uuid, done, context);
}

static int heartbeat(struct session_provider *provider, const struct session_endpoint *endpoint,
                     const char *body, session_answer_fn *done, void *context)
{
    struct stage *stage = stage_of(provider);

    return note(stage, &stage->heartbeat, endpoint, 1, body, done, context);
}

static void cancel_refresh(struct session_provider *provider)
{
    struct stage *stage = stage_of(provider);

    stage->cancelled++;
    stage->refresh.done = NULL;
}

void stage_answer(struct stage_request *request, int error, const struct session_list *answered,
                  int from_node)
{
    const struct session_answer answer = {
        .error = error,
        .message = error ? "refused" : "",
        .origin = {.access = (uint32_t)(from_node - 1), .address = stage_address(0, from_node)},
        .list = answered,
        .unasked = 1,
    };
    session_answer_fn *done = request->done;

    cr_assert_not_null(done, "nobody asked");
    request->done = NULL;
    done(request->context, &answer);
}

/* --- the cluster --- */

static void wake(void *context)
{
    ((struct stage *)context)->woken++;
}

static void add_node(struct agent_table *table, int node)
{
    struct agent_access access = {.data = stage_address(0, node), .management = stage_address(1, node)};
    uint32_t index = table->access_count;

    snprintf(access.name, sizeof(access.name), "node%d", node);
    snprintf(access.view.uuid, sizeof(access.view.uuid), "uuid-%d", node);
    access.view.state = SESSION_STABLE;
    cr_assert_eq(agent_table_add_access(table, &access), 0);
    cr_assert_eq(agent_table_add_path(table, index, TIER_DATA, &access.data), 0);
    cr_assert_eq(agent_table_add_path(table, index, TIER_MANAGEMENT, &access.management), 0);
}

void stage_open(struct stage *stage)
{
    static const struct session_backend backend = {.kind = "stage",
                                                   .list = list,
                                                   .refresh = refresh,
                                                   .heartbeat = heartbeat,
                                                   .cancel_refresh = cancel_refresh};

    *stage = (struct stage){.provider = {.backend = &backend}, .options = {.version = "1"}};
    stage->config.service = stage_address(9, 9);
    snprintf(stage->config.session.provider, sizeof(stage->config.session.provider), "rest");
    stage->config.session.poll_interval_ns = 5 * NS_PER_S;
    stage->config.session.timeout_ns = NS_PER_S;
    stage->config.route.hold_ns = 180 * NS_PER_S;
    stage->config.access_count = STAGE_NODES;
    for (int node = 1; node <= STAGE_NODES; node++)
        add_node(&stage->table, node);
    for (uint32_t i = 0; i < stage->table.path_count; i++)
        stage->table.paths[i].health.state = HEALTH_UP;
    stage->waker = (struct waker){.wake = wake, .context = stage};
    stage->now = (struct situation){.now_ns = 1000 * NS_PER_S,
                                    .started_ns = 1000 * NS_PER_S,
                                    .options = &stage->options,
                                    .acts = true,
                                    .config = &stage->config,
                                    .table = &stage->table,
                                    .reason = "test"};
}

void stage_close(struct stage *stage)
{
    agent_table_clear(&stage->table, NULL);
}

void stage_at(struct stage *stage, double seconds)
{
    stage->now.now_ns = 1000 * NS_PER_S + (uint64_t)(seconds * 1e9);
}

struct session_list stage_list(struct session *items, const int *nodes, size_t count, uint64_t alive_sec)
{
    for (size_t i = 0; i < count; i++) {
        items[i] = (struct session){
            .data = stage_address(0, nodes[i]), .has_alive_sec = true, .alive_sec = alive_sec};
        snprintf(items[i].uuid, sizeof(items[i].uuid), "uuid-%d", nodes[i]);
    }
    return (struct session_list){.items = items, .count = count};
}
