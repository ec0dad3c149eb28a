/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: HTTP over a Unix socket, in the agent's loop.
 *
 *   GET  /v1/status                                      reroute.status/1
 *   GET  /metrics                                        for Prometheus
 *   POST /v1/pin       {"target": "...", "hard": false, "for_s": 7200, "because": "..."}
 *   POST /v1/unpin
 *   POST /v1/drain     {"access": "...", "for_s": 7200, "because": "..."}
 *   POST /v1/undrain   {"access": "..."}
 *   POST /v1/failback
 *
 * An answer to a POST is {"ok": true} or {"ok": false, "message": "..."} with status 409. Who may do what is
 * a matter of the socket's file permissions (0660). With metrics-listen, GET /metrics answers over TCP, and
 * nothing else does. What clients can cost is bounded in server.c.
 *
 * Neither is a condition of keeping the route. A socket that cannot be opened is said, and tried again every
 * few seconds; only one on which somebody else already answers, or a file in its place, ends the start.
 */
#include <cjson/cJSON.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "probe/text.h"
#include "route/agent/private.h"
#include "route/agent/server.h"

#define CONNECTIONS_MAX 32
#define PER_PEER_MAX    12
#define BACKLOG         1024
#define REOPEN_S        2
#define FOR_MOST_S      (365.0 * 24 * 3600)

struct control {
    struct agent *agent;
    char path[CONFIG_TEXT_SIZE], metrics_listen[CONFIG_TEXT_SIZE];
    struct server *commands, *metrics;
    bool said; /* the log has been told of what cannot be opened */
    struct event *reopen;
};

static int print_json(struct evbuffer *body, const char **type, int status, cJSON *json)
{
    CLEANUP(free) char *text = text_json(cJSON_PrintUnformatted(json));

    cJSON_Delete(json);
    *type = "application/json";
    return text && evbuffer_add(body, text, strlen(text)) == 0 ? status : 500;
}

/* A string member of the request's body; "" when it is not there. */
static const char *member(const cJSON *body, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(body, name);

    return cJSON_IsString(item) ? item->valuestring : "";
}

/* What may be said to an order besides. 0, or -EINVAL with one line in message. */
static int read_terms(const cJSON *body, struct terms *terms, char *message, size_t size_bytes)
{
    const cJSON *for_s = cJSON_GetObjectItemCaseSensitive(body, "for_s");
    const char *because = member(body, "because");

    *terms = (struct terms){0};
    if (strlen(because) >= sizeof(terms->because)) {
        snprintf(message, size_bytes, "a reason of %zu bytes, expected %zu at most", strlen(because),
                 sizeof(terms->because) - 1);
        return -EINVAL;
    }
    strcpy(terms->because, because);
    if (!for_s || cJSON_IsNull(for_s))
        return 0;
    if (!cJSON_IsNumber(for_s) || !(for_s->valuedouble > 0 && for_s->valuedouble <= FOR_MOST_S)) {
        snprintf(message, size_bytes, "for_s: expected a number of seconds, of a year at most");
        return -EINVAL;
    }
    terms->until_ns = clock_now_ns(CLOCK_REALTIME) + (uint64_t)(for_s->valuedouble * (double)NS_PER_S);
    return 0;
}

static int run_pin(struct agent *agent, const cJSON *body, char *message, size_t size_bytes)
{
    bool hard = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(body, "hard"));
    struct terms terms;
    int error = read_terms(body, &terms, message, size_bytes);

    return error ? error : agent_pin(agent, member(body, "target"), hard, &terms, message, size_bytes);
}

static int run_unpin(struct agent *agent, const cJSON *body, char *message, size_t size_bytes)
{
    return agent_unpin(agent, message, size_bytes);
}

static int run_drain(struct agent *agent, const cJSON *body, char *message, size_t size_bytes)
{
    struct terms terms;
    int error = read_terms(body, &terms, message, size_bytes);

    return error ? error : agent_drain(agent, member(body, "access"), &terms, message, size_bytes);
}

static int run_undrain(struct agent *agent, const cJSON *body, char *message, size_t size_bytes)
{
    return agent_undrain(agent, member(body, "access"), message, size_bytes);
}

static int run_failback(struct agent *agent, const cJSON *body, char *message, size_t size_bytes)
{
    return agent_failback(agent, message, size_bytes);
}

static const struct command {
    const char *path;
    int (*run)(struct agent *agent, const cJSON *body, char *message, size_t size_bytes);
} commands[] = {
    {"/v1/pin", run_pin},         {"/v1/unpin", run_unpin},       {"/v1/drain", run_drain},
    {"/v1/undrain", run_undrain}, {"/v1/failback", run_failback},
};

static int answer_command(struct agent *agent, const struct command *command,
                          const struct http_request *request, const char **type, struct evbuffer *body)
{
    char message[256] = "";
    cJSON *json, *answer;
    int error;

    json = request->body_bytes ? cJSON_ParseWithLength(request->body, request->body_bytes)
                               : cJSON_CreateObject();
    if (!json)
        return 400;
    error = command->run(agent, json, message, sizeof(message));
    cJSON_Delete(json);
    answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(answer, "ok", error == 0);
    if (message[0])
        cJSON_AddStringToObject(answer, "message", message);
    return print_json(body, type, error ? 409 : 200, answer);
}

static int answer_metrics(void *context, const struct http_request *request, const char **type,
                          struct evbuffer *body)
{
    if (strcmp(request->path, "/metrics") != 0)
        return 404;
    if (strcmp(request->method, "GET") != 0)
        return 405;
    *type = "text/plain; version=0.0.4";
    agent_metrics(((struct control *)context)->agent, body);
    return 200;
}

static int answer_control(void *context, const struct http_request *request, const char **type,
                          struct evbuffer *body)
{
    struct agent *agent = ((struct control *)context)->agent;

    if (strcmp(request->path, "/metrics") == 0)
        return answer_metrics(context, request, type, body);
    if (strcmp(request->path, "/v1/status") == 0)
        return strcmp(request->method, "GET") == 0 ? print_json(body, type, 200, agent_status(agent)) : 405;
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(request->path, commands[i].path) == 0)
            return strcmp(request->method, "POST") == 0
                       ? answer_command(agent, &commands[i], request, type, body)
                       : 405;
    return 404;
}

/* --- listening --- */

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
    if (bind(fd, (const struct sockaddr *)&local, sizeof(local)) < 0 || listen(fd, BACKLOG) < 0)
        error = -errno;
    umask(mask);
    if (error) {
        close(fd);
        return error;
    }
    return fd;
}

/* "ADDRESS:PORT", as the configuration has checked. */
static socklen_t parse_endpoint(const char *where, struct sockaddr_storage *local)
{
    const char *colon = strrchr(where, ':');
    bool brackets = where[0] == '[';
    char host[ADDRESS_TEXT_SIZE];
    struct address address;

    if (!colon)
        return 0;
    snprintf(host, sizeof(host), "%.*s", (int)(colon - where) - 2 * brackets, where + brackets);
    if (address_parse(&address, host) < 0)
        return 0;
    return address_to_sockaddr(&address, (uint16_t)strtoul(colon + 1, NULL, 10), local);
}

static int listen_tcp(const char *where)
{
    struct sockaddr_storage local;
    socklen_t length = parse_endpoint(where, &local);
    int one = 1, fd, error = 0;

    if (!length)
        return -EADDRNOTAVAIL;
    fd = socket(local.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (const struct sockaddr *)&local, length) < 0 || listen(fd, BACKLOG) < 0)
        error = -errno;
    if (error)
        close(fd);
    return error ? error : fd;
}

static int open_server(struct control *control, struct server **out, int fd, const char *where,
                       server_answer_fn *answer, char *message, size_t size_bytes)
{
    const struct server_settings settings = {
        .name = where,
        .connections_max = CONNECTIONS_MAX,
        .per_peer_max = PER_PEER_MAX,
        .priority = AGENT_PRIORITY_CLIENTS,
        .answer = answer,
        .context = control,
    };
    int error = fd < 0 ? fd : server_new(out, control->agent->loop.base, fd, &settings);

    if (error < 0)
        snprintf(message, size_bytes, "cannot listen on %s: %s", where, strerror(-error));
    return error;
}

/* Opens what is not open. The first error, with its line; 0: all is open. */
static int open_all(struct control *control, char *message, size_t size_bytes)
{
    int error = 0;

    if (!control->commands)
        error = open_server(control, &control->commands, listen_unix(control->path), control->path,
                            answer_control, message, size_bytes);
    if (!error && !control->metrics && control->metrics_listen[0])
        error = open_server(control, &control->metrics, listen_tcp(control->metrics_listen),
                            control->metrics_listen, answer_metrics, message, size_bytes);
    return error;
}

static void open_or_wait(struct control *control)
{
    const struct timeval wait = {.tv_sec = REOPEN_S};
    char message[512];
    int error = open_all(control, message, sizeof(message));

    if (error < 0 && !control->said)
        log_event(LOG_LEVEL_WARN, "not-listening", "retry_s=%d error=%s", REOPEN_S, LOG_QUOTE(message));
    else if (error == 0 && control->said)
        log_event(LOG_LEVEL_INFO, "listening", "socket=%s", control->path);
    control->said = error < 0;
    if (error < 0)
        event_add(control->reopen, &wait);
}

static void on_reopen(evutil_socket_t fd, short what, void *context)
{
    open_or_wait(context);
}

int control_open(struct control **out, struct agent *agent, const char *path, const char *metrics_listen,
                 char *message, size_t size_bytes)
{
    struct control *control = calloc(1, sizeof(*control));
    int error = 0;

    *out = NULL;
    snprintf(message, size_bytes, "out of memory");
    if (!control)
        return -ENOMEM;
    control->agent = agent;
    snprintf(control->path, sizeof(control->path), "%s", path);
    snprintf(control->metrics_listen, sizeof(control->metrics_listen), "%s", metrics_listen);
    control->reopen = evtimer_new(agent->loop.base, on_reopen, control);
    if (!control->reopen) {
        free(control);
        return -ENOMEM;
    }
    error = open_all(control, message, size_bytes);
    if (!control->commands && (error == -EADDRINUSE || error == -EEXIST)) {
        control_close(control);
        return error;
    }
    open_or_wait(control);
    *out = control;
    return 0;
}

struct control *control_close(struct control *control)
{
    if (!control)
        return NULL;
    if (control->commands)
        unlink(control->path);
    server_free(control->commands);
    server_free(control->metrics);
    event_free(control->reopen);
    free(control);
    return NULL;
}
