/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/meter/stream.h"

#define SILENT_NS (100 * NS_PER_MS)

void meter_arrived(struct meter_figures *f, uint64_t at_ns)
{
    f->received++;
    f->last_arrived_ns = at_ns;
    if (f->started && !f->told_silent)
        return;
    printf("{\"event\":\"%s\",\"stream\":\"%s\",\"at\":%.6f}\n", f->started ? "again" : "first", f->stream,
           seconds(at_ns));
    f->started = true;
    f->told_silent = false;
}

void meter_watch(struct meter_figures *f, uint64_t now_ns)
{
    if (!f->started || f->told_silent || sub_sat_u64(now_ns, f->last_arrived_ns) < SILENT_NS)
        return;
    f->told_silent = true;
    printf("{\"event\":\"silent\",\"stream\":\"%s\",\"since\":%.6f}\n", f->stream,
           seconds(f->last_arrived_ns));
}

void meter_interrupted(struct meter_figures *f, const struct meter_interruption *i)
{
    uint64_t length_ns = i->until_ns - i->from_ns;

    f->interruptions++;
    f->total_ns += length_ns;
    f->longest_ns = max_u64(f->longest_ns, length_ns);
    printf("{\"event\":\"interruption\",\"stream\":\"%s\",\"from\":%.6f,\"until\":%.6f,\"length_ms\":%.3f,"
           "\"silence_ms\":%.3f,\"lost\":%" PRIu64 ",\"errors\":%u,\"breaks\":%u,\"error\":\"%s\","
           "\"own_ms\":%.3f,\"open\":%s}\n",
           f->stream, seconds(i->from_ns), seconds(i->until_ns), milliseconds(length_ns),
           milliseconds(i->silence_ns), i->lost, i->errors, i->breaks, i->error ? strerror(i->error) : "",
           milliseconds(i->own_ns), i->open ? "true" : "false");
}

void meter_print_figures(const struct meter_figures *f)
{
    printf("\"%s\":{\"sent\":%" PRIu64 ",\"received\":%" PRIu64 ",\"errors\":%" PRIu64
           ",\"interruptions\":%u,\"longest_ms\":%.3f,\"total_ms\":%.3f,\"longest_silence_ms\":%.3f",
           f->stream, f->sent, f->received, f->send_errors, f->interruptions, milliseconds(f->longest_ns),
           milliseconds(f->total_ns), milliseconds(f->longest_silence_ns));
}
