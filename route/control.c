/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: HTTP over a Unix socket, by libevent's server, in the agent's loop.
 *
 *   GET  /v1/status                                      reroute.status/1
 *   POST /v1/pin       {"target": "...", "hard": false}
 *   POST /v1/unpin
 *   POST /v1/drain     {"access": "..."}
 *   POST /v1/undrain   {"access": "..."}
 *   POST /v1/failback
 *
 * An answer to a POST is {"ok": true} or {"ok": false, "message": "..."} with status 409. Who may do what is
 * a matter of the socket's file permissions (0660). With metrics-listen, GET /metrics answers over TCP, and
 * nothing else does.
 */
#include <cjson/cJSON.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "route/agent_private.h"

#define REQUEST_MAX_BYTES 4096
#define REQUEST_TIMEOUT_S 5

#define COMMANDS 5

struct control {
    struct agent *agent;
    struct control_entry { /* what a command's callback needs */
        struct control *control;
        const struct command *command;
    } entries[COMMANDS];
    struct evhttp *http, *metrics;
    char *path;
};

static void reply_text(struct evhttp_request *request, int code, const char *type, const char *text)
{
    struct evbuffer *body = evbuffer_new();

    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", type);
    if (body)
        evbuffer_add(body, text, strlen(text));
    evhttp_send_reply(request, code, NULL, body);
    if (body)
        evbuffer_free(body);
}

static void reply_json(struct evhttp_request *request, int code, cJSON *json)
{
    CLEANUP(free) char *text = cJSON_PrintUnformatted(json);

    cJSON_Delete(json);
    if (text)
        reply_text(request, code, "application/json", text);
    else
        evhttp_send_error(request, HTTP_INTERNAL, NULL);
}

static void on_status(struct evhttp_request *request, void *context)
{
    struct control *control = context;

    if (evhttp_request_get_command(request) != EVHTTP_REQ_GET)
        evhttp_send_error(request, HTTP_BADMETHOD, NULL);
    else
        reply_json(request, HTTP_OK, agent_status(control->agent));
}

/* A string member of the request's body; "" when it is not there. */
static const char *member(const cJSON *body, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(body, name);

    return cJSON_IsString(item) ? item->valuestring : "";
}

static int run_pin(struct agent *agent, const cJSON *body, char *message, size_t size_bytes)
{
    bool hard = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(body, "hard"));

    return agent_pin(agent, member(body, "target"), hard, message, size_bytes);
}

static int run_unpin(struct agent *agent, const cJSON *body, char *message, size_t size_bytes)
{
    return agent_unpin(agent, message, size_bytes);
}

static int run_drain(struct agent *agent, const cJSON *body, char *message, size_t size_bytes)
{
    return agent_drain(agent, member(body, "access"), true, message, size_bytes);
}

static int run_undrain(struct agent *agent, const cJSON *body, char *message, size_t size_bytes)
{
    return agent_drain(agent, member(body, "access"), false, message, size_bytes);
}

static int run_failback(struct agent *agent, const cJSON *body, char *message, size_t size_bytes)
{
    return agent_failback(agent, message, size_bytes);
}

static const struct command {
    const char *path;
    int (*run)(struct agent *agent, const cJSON *body, char *message, size_t size_bytes);
} commands[COMMANDS] = {
    {"/v1/pin", run_pin},         {"/v1/unpin", run_unpin},       {"/v1/drain", run_drain},
    {"/v1/undrain", run_undrain}, {"/v1/failback", run_failback},
};

static void on_command(struct evhttp_request *request, void *context)
{
    const struct control_entry *entry = context;
    struct evbuffer *input = evhttp_request_get_input_buffer(request);
    size_t size_bytes = evbuffer_get_length(input);
    char message[256] = "";
    cJSON *body, *answer;
    int error;

    if (evhttp_request_get_command(request) != EVHTTP_REQ_POST) {
        evhttp_send_error(request, HTTP_BADMETHOD, NULL);
        return;
    }
    body = size_bytes ? cJSON_ParseWithLength((const char *)evbuffer_pullup(input, -1), size_bytes)
                      : cJSON_CreateObject();
    if (!body) {
        evhttp_send_error(request, HTTP_BADREQUEST, NULL);
        return;
    }
    error = entry->command->run(entry->control->agent, body, message, sizeof(message));
    cJSON_Delete(body);
    answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(answer, "ok", error == 0);
    if (error)
        cJSON_AddStringToObject(answer, "message", message);
    reply_json(request, error ? 409 : HTTP_OK, answer);
}

/* --- metrics ----------------------------------------------------------------------------------------------
 */

static void add_metric(struct evbuffer *out, const char *name, const char *type, const char *help,
                       double value)
{
    evbuffer_add_printf(out, "# HELP reroute_%s %s\n# TYPE reroute_%s %s\nreroute_%s %.17g\n", name, help,
                        name, type, name, value);
}

static void add_path_metric(const struct agent *agent, struct evbuffer *out, const char *name,
                            const char *help, double (*value)(const struct agent *, uint32_t))
{
    evbuffer_add_printf(out, "# HELP reroute_path_%s %s\n# TYPE reroute_path_%s gauge\n", name, help, name);
    for (uint32_t i = 0; i < agent->table.path_count; i++)
        evbuffer_add_printf(out, "reroute_path_%s{access=\"%s\",tier=\"%s\",address=\"%s\"} %.9g\n", name,
                            agent_path_access_name(agent, i),
                            selector_tier_text(agent->table.selector_paths[i].tier),
                            ADDRESS_TEXT(&agent->table.paths[i].address), value(agent, i));
}

static double path_current(const struct agent *agent, uint32_t path)
{
    return path == agent->current;
}

static double path_up(const struct agent *agent, uint32_t path)
{
    return agent->table.paths[path].health.state == HEALTH_UP;
}

static double path_rtt(const struct agent *agent, uint32_t path)
{
    return (double)agent->table.paths[path].health.rtt_ns / (double)NS_PER_S;
}

static double path_loss(const struct agent *agent, uint32_t path)
{
    return health_loss_ppm(&agent->table.paths[path].health) / 1e6;
}

static void on_metrics(struct evhttp_request *request, void *context)
{
    const struct agent *agent = ((struct control *)context)->agent;
    const struct probe_counters *counters = probe_stream_counters(agent->stream);
    struct evbuffer *out = evbuffer_new();
    bool local = false;

    if (!out) {
        evhttp_send_error(request, HTTP_INTERNAL, NULL);
        return;
    }
    if (agent->current != SELECTOR_NO_PATH) {
        uint32_t access = agent->table.selector_paths[agent->current].access;

        local =
            access != SELECTOR_NO_ACCESS && agent->table.selector_accesses[access].locality == LOCALITY_LOCAL;
    }
    add_metric(out, "route_present", "gauge", "There is a route to the service.",
               agent->current != SELECTOR_NO_PATH);
    add_metric(out, "route_local", "gauge", "The service is entered through the local access.", local);
    add_metric(out, "route_shadowed", "gauge", "A foreign route hides ours.", agent->shadow[0] != '\0');
    add_metric(out, "switches_total", "counter", "Switches of the route.", (double)agent->switches);
    add_metric(out, "repairs_total", "counter", "Times the route was put right.", (double)agent->repairs);
    add_metric(out, "probe_requests_total", "counter", "Echo requests sent.", (double)counters->sent);
    add_metric(out, "probe_replies_total", "counter", "Valid replies in time.", (double)counters->replies);
    add_metric(out, "probe_receive_drops_total", "counter", "Replies lost in our own buffer.",
               (double)counters->receive_drops);
    add_path_metric(agent, out, "current", "The route points at this path.", path_current);
    add_path_metric(agent, out, "up", "The path answers.", path_up);
    add_path_metric(agent, out, "rtt_seconds", "Smoothed round-trip time.", path_rtt);
    add_path_metric(agent, out, "loss_ratio", "Loss while up, over the hold time at most.", path_loss);
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
                      "text/plain; version=0.0.4");
    evhttp_send_reply(request, HTTP_OK, NULL, out);
    evbuffer_free(out);
}

/* --- listening --------------------------------------------------------------------------------------------
 */

static struct evhttp *server_new(struct agent *agent)
{
    struct evhttp *http = evhttp_new(agent->base);

    if (!http)
        return NULL;
    evhttp_set_max_body_size(http, REQUEST_MAX_BYTES);
    evhttp_set_max_headers_size(http, REQUEST_MAX_BYTES);
    evhttp_set_timeout(http, REQUEST_TIMEOUT_S);
    return http;
}

/*
 * Makes room for our socket: one that an agent left when it was killed is removed, one on which somebody
 * listens is not, nor anything that is no socket.
 */
static int remove_stale(const struct sockaddr_un *local)
{
    struct stat st;
    int fd, error;

    if (lstat(local->sun_path, &st) < 0)
        return 0; /* what is wrong with it shows at bind() */
    if (!S_ISSOCK(st.st_mode))
        return -EEXIST;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    error = connect(fd, (const struct sockaddr *)local, sizeof(*local)) == 0 ? 0 : errno;
    close(fd);
    if (error != ECONNREFUSED)
        return -EADDRINUSE;
    return unlink(local->sun_path) < 0 ? -errno : 0;
}

static int listen_unix(const char *path)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    mode_t mask;
    int fd, error = 0;

    if (strlen(path) >= sizeof(local.sun_path))
        return -ENAMETOOLONG;
    strcpy(local.sun_path, path);
    {
        CLEANUP(free) char *folder = strdup(path);
        char *slash = folder ? strrchr(folder, '/') : NULL;

        if (slash && slash != folder) {
            *slash = '\0';
            mkdir(folder, 0755); /* what is wrong with it shows at bind() */
        }
    }
    error = remove_stale(&local);
    if (error < 0)
        return error;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    mask = umask(0117);
    if (bind(fd, (const struct sockaddr *)&local, sizeof(local)) < 0 || listen(fd, SOMAXCONN) < 0)
        error = -errno;
    umask(mask);
    if (error) {
        close(fd);
        return error;
    }
    return fd;
}

static int open_metrics(struct control *control, const char *where, char *message, size_t size_bytes)
{
    char host[CONFIG_TEXT_SIZE];
    char *colon;

    snprintf(host, sizeof(host), "%s", where[0] == '[' ? where + 1 : where);
    colon = strrchr(host, ':');
    if (!colon) {
        snprintf(message, size_bytes, "metrics-listen \"%s\": expected ADDRESS:PORT", where);
        return -EINVAL;
    }
    *colon = '\0';
    if (colon > host && colon[-1] == ']')
        colon[-1] = '\0';
    control->metrics = server_new(control->agent);
    if (!control->metrics)
        return -ENOMEM;
    if (evhttp_bind_socket(control->metrics, host, (uint16_t)strtoul(colon + 1, NULL, 10)) < 0) {
        snprintf(message, size_bytes, "cannot listen on %s: %s", where, strerror(errno));
        return -EADDRNOTAVAIL;
    }
    evhttp_set_allowed_methods(control->metrics, EVHTTP_REQ_GET);
    evhttp_set_cb(control->metrics, "/metrics", on_metrics, control);
    return 0;
}

static int open_socket(struct control *control, const char *path, char *message, size_t size_bytes)
{
    int fd = listen_unix(path);

    if (fd < 0) {
        snprintf(message, size_bytes, "cannot listen on %s: %s", path, strerror(-fd));
        return fd;
    }
    control->path = strdup(path);
    control->http = server_new(control->agent);
    if (!control->path || !control->http || evhttp_accept_socket(control->http, fd) < 0) {
        close(fd);
        return -ENOMEM;
    }
    evhttp_set_cb(control->http, "/v1/status", on_status, control);
    for (size_t i = 0; i < COMMANDS; i++) {
        control->entries[i] = (struct control_entry){.control = control, .command = &commands[i]};
        evhttp_set_cb(control->http, commands[i].path, on_command, &control->entries[i]);
    }
    return 0;
}

int control_open(struct control **out, struct agent *agent, const char *path, const char *metrics_listen,
                 char *message, size_t size_bytes)
{
    struct control *control = calloc(1, sizeof(*control));
    int error;

    *out = NULL;
    snprintf(message, size_bytes, "out of memory");
    if (!control)
        return -ENOMEM;
    control->agent = agent;
    error = open_socket(control, path, message, size_bytes);
    if (!error && metrics_listen[0])
        error = open_metrics(control, metrics_listen, message, size_bytes);
    if (error)
        control_close(control);
    else
        *out = control;
    return error;
}

struct control *control_close(struct control *control)
{
    if (!control)
        return NULL;
    if (control->http)
        evhttp_free(control->http);
    if (control->metrics)
        evhttp_free(control->metrics);
    if (control->path)
        unlink(control->path);
    free(control->path);
    free(control);
    return NULL;
}
