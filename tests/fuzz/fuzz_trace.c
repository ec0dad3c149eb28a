/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: whatever is in a trace file, it is refused with one line of plain characters, or in
 * range; and what was read is the same when it is written and read again.
 */
#include "bench/tune/trace.h"
#include "probe/text.h"
#include "tests/fuzz/fuzz.h"

static int read_bytes(struct trace *trace, const void *data, size_t size)
{
    CLEANUP(free) char *copy = malloc(size + 1);
    char message[256] = "";
    FILE *in;
    int r;

    memcpy(copy, data, size);
    in = fmemopen(copy, size, "r");
    fuzz_check(in != NULL);
    r = trace_read(trace, in, "trace", message, sizeof(message));
    fclose(in);
    fuzz_check(r == 0 || (r == -EINVAL && message[0] && trace->path_count == 0));
    fuzz_check(text_plain_bytes(message) == strlen(message));
    return r;
}

static void check_ranges(const struct trace *trace)
{
    fuzz_check(trace->path_count > 0 && trace->path_count <= TRACE_PATHS_MAX);
    fuzz_check(trace->interval_us >= 1000 && trace->interval_us <= TRACE_INTERVAL_MAX_US);
    fuzz_check(trace->wait_us <= TRACE_WAIT_MAX_US);
    for (size_t i = 0; i < trace->path_count; i++)
        for (size_t j = 0; j < trace->paths[i].count; j++) {
            const struct trace_request *request = &trace->paths[i].requests[j];

            fuzz_check(request->fate < TRACE_FATES && request->rtt_us <= trace->wait_us);
            fuzz_check(j == 0 || request->sent_us > request[-1].sent_us);
        }
}

static void write_again(const struct trace *trace)
{
    struct trace_writer writer = {.trace = trace};
    struct trace again = {0};
    size_t size;
    CLEANUP(free) char *text = NULL;

    writer.out = open_memstream(&text, &size);
    trace_write_begin(&writer);
    for (size_t i = 0; i < trace->path_count; i++)
        for (size_t j = 0; j < trace->paths[i].count; j++)
            trace_write(&writer, i, trace->paths[i].requests[j]);
    fuzz_check(trace_write_end(&writer) == 0);
    fclose(writer.out);
    fuzz_check(read_bytes(&again, text, size) == 0 && again.path_count == trace->path_count);
    for (size_t i = 0; i < trace->path_count; i++)
        fuzz_check(again.paths[i].count == trace->paths[i].count);
    trace_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trace trace = {0};

    if (size > 0 && read_bytes(&trace, data, size) == 0) {
        check_ranges(&trace);
        write_again(&trace);
    }
    trace_clear(&trace);
    return 0;
}
