/* SPDX-License-Identifier: Apache-2.0 */
/* Traces in memory and their writer, see trace.h. */
#include "bench/tune/trace.h"

void trace_clear(struct trace *trace)
{
    for (size_t i = 0; i < trace->path_count; i++)
        free(trace->paths[i].requests);
    free(trace->paths);
    *trace = (struct trace){0};
}

int trace_add_path(struct trace *trace, const char *address, const char *interface, const char *name)
{
    struct trace_path *paths;
    struct trace_path *path;

    if (trace->path_count == TRACE_PATHS_MAX)
        return -E2BIG;
    paths = realloc(trace->paths, (trace->path_count + 1) * sizeof(*paths));
    if (!paths)
        return -ENOMEM;
    trace->paths = paths;
    path = &paths[trace->path_count++];
    *path = (struct trace_path){0};
    snprintf(path->address, sizeof(path->address), "%s", address);
    snprintf(path->interface, sizeof(path->interface), "%s", interface ? interface : "");
    snprintf(path->name, sizeof(path->name), "%s", name ? name : "");
    return 0;
}

int trace_add(struct trace_path *path, struct trace_request request)
{
    if (path->count == path->room) {
        size_t room = path->room ? path->room * 2 : 1024;
        struct trace_request *requests = realloc(path->requests, room * sizeof(*requests));

        if (!requests)
            return -ENOMEM;
        path->requests = requests;
        path->room = room;
    }
    path->requests[path->count++] = request;
    return 0;
}

static struct trace_path *find_path(const struct trace *trace, const struct trace_path *like)
{
    for (size_t i = 0; i < trace->path_count; i++) {
        struct trace_path *path = &trace->paths[i];

        if (strcmp(path->address, like->address) == 0 && strcmp(path->interface, like->interface) == 0 &&
            strcmp(path->name, like->name) == 0)
            return path;
    }
    return NULL;
}

static int join_path(struct trace *trace, const struct trace_path *more, char *message, size_t size_bytes)
{
    struct trace_path *path = find_path(trace, more);
    uint64_t begin_us = 0;
    int r = path ? 0 : trace_add_path(trace, more->address, more->interface, more->name);

    if (r == -E2BIG)
        snprintf(message, size_bytes, "more than %d paths in all traces", TRACE_PATHS_MAX);
    if (r < 0)
        return r;
    if (!path)
        path = &trace->paths[trace->path_count - 1];
    if (path->count)
        begin_us = path->requests[path->count - 1].sent_us + TRACE_GAP_US;
    for (size_t i = 0; r == 0 && i < more->count; i++) {
        struct trace_request request = more->requests[i];

        if (begin_us + request.sent_us > TRACE_SENT_MAX_US) {
            snprintf(message, size_bytes, "the traces of %s cover more than three days", path->address);
            return -EINVAL;
        }
        request.sent_us = begin_us + request.sent_us;
        r = trace_add(path, request);
    }
    return r;
}

int trace_join(struct trace *trace, const struct trace *more, char *message, size_t size_bytes)
{
    int r = 0;

    if (trace->path_count == 0) {
        trace->interval_us = more->interval_us;
        trace->wait_us = more->wait_us;
        trace->payload_bytes = more->payload_bytes;
    }
    if (trace->interval_us != more->interval_us || trace->wait_us != more->wait_us ||
        trace->payload_bytes != more->payload_bytes) {
        snprintf(message, size_bytes,
                 "requests of %" PRIu32 " bytes every %" PRIu64 " us with a wait of %" PRIu64
                 " us, expected %" PRIu32 ", %" PRIu64 ", %" PRIu64 " as in the first trace",
                 more->payload_bytes, more->interval_us, more->wait_us, trace->payload_bytes,
                 trace->interval_us, trace->wait_us);
        return -EINVAL;
    }
    for (size_t i = 0; r == 0 && i < more->path_count; i++)
        r = join_path(trace, &more->paths[i], message, size_bytes);
    return r;
}

/* --- writing ---------------------------------------------------------------------------------------------*/

static void write_fate(FILE *out, struct trace_request request)
{
    static const char *const marks[TRACE_FATES] = {"", "-", "u", "f", "x"};

    fprintf(out, " %s", marks[request.fate]);
    if (request.fate == TRACE_REPLY || request.fate == TRACE_ERROR)
        fprintf(out, "%u", (unsigned)request.rtt_us);
}

static void flush_line(struct trace_writer *writer, size_t path)
{
    struct trace_line *line = &writer->lines[path];

    if (line->count == 0)
        return;
    fprintf(writer->out, "%zu %" PRIu64, path, (uint64_t)line->requests[0].sent_us);
    for (size_t i = 0; i < line->count; i++)
        write_fate(writer->out, line->requests[i]);
    fputc('\n', writer->out);
    writer->written += line->count;
    line->count = 0;
}

void trace_write_begin(struct trace_writer *writer)
{
    const struct trace *trace = writer->trace;

    fprintf(writer->out,
            "reroute-trace 1\ninterval-us %" PRIu64 "\nwait-us %" PRIu64 "\npayload-bytes %" PRIu32 "\n",
            trace->interval_us, trace->wait_us, trace->payload_bytes);
    for (size_t i = 0; i < trace->path_count; i++) {
        const struct trace_path *path = &trace->paths[i];

        fprintf(writer->out, "path %s %s%s%s\n", path->address, path->interface[0] ? path->interface : "-",
                path->name[0] ? " " : "", path->name);
    }
    fputs("data\n", writer->out);
}

void trace_write(struct trace_writer *writer, size_t path, struct trace_request request)
{
    struct trace_line *line = &writer->lines[path];
    uint64_t interval_us = writer->trace->interval_us;
    uint64_t due_us = line->count ? line->requests[0].sent_us + line->count * interval_us : 0;
    uint64_t off_us = request.sent_us > due_us ? request.sent_us - due_us : due_us - request.sent_us;

    /* A line says when its requests left to an eighth of an interval. */
    if (line->count == TRACE_LINE_REQUESTS || (line->count && off_us > interval_us / 8))
        flush_line(writer, path);
    line->requests[line->count++] = request;
}

int trace_write_end(struct trace_writer *writer)
{
    for (size_t i = 0; i < writer->trace->path_count; i++)
        flush_line(writer, i);
    fprintf(writer->out, "end %" PRIu64 "\n", writer->written);
    if (fflush(writer->out) != 0)
        return -errno;
    return ferror(writer->out) ? -EIO : 0;
}
