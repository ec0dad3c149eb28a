/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/command/warnings.h"

#include "tools/command/document.h"

/* What packets to the service do when they do not take our route. */
static void print_packets(FILE *out, const cJSON *status)
{
    if (document_is(status, "packets", "nowhere"))
        fprintf(out, "WARNING   packets to the service have no way: %s\n",
                document_text(status, "shadowed_by"));
    else if (document_is_text(status, "shadowed_by"))
        fprintf(out, "WARNING   a foreign route hides ours: %s\n", document_text(status, "shadowed_by"));
    else if (document_is_text(status, "redirected"))
        fprintf(out, "WARNING   our route stands, but packets are %s\n", document_text(status, "redirected"));
}

/* Programs that the agent runs. */
static void print_programs(FILE *out, const cJSON *status)
{
    const cJSON *command = document_get(status, "route_command"), *notify = document_get(status, "notify");

    if (document_is(command, "state", "hangs"))
        fprintf(out, "WARNING   the route command hangs since %s: the route cannot move\n",
                document_text(command, "silent_since"));
    if (document_is_text(notify, "error"))
        fprintf(out, "WARNING   %s failed: %s\n", document_text(notify, "program"),
                document_text(notify, "error"));
}

static void print_files(FILE *out, const cJSON *not_kept)
{
    const cJSON *file;

    cJSON_ArrayForEach(file, not_kept)
    {
        fprintf(out, "WARNING   %s is not kept: %s\n", document_text(file, "file"),
                document_text(file, "reason"));
    }
}

static void print_cluster(FILE *out, const cJSON *status)
{
    const cJSON *refresh = document_get(status, "refresh"), *sessions = document_get(status, "sessions");
    char overdue[32];

    if (document_is_text(refresh, "error"))
        fprintf(out, "WARNING   the cluster has not been told where this host enters: %s\n",
                document_text(refresh, "error"));
    if (!document_is_number(sessions, "overdue_s"))
        return;
    document_number(sessions, "overdue_s", "%.0f", overdue);
    if (document_is_number(sessions, "list_age_s"))
        fprintf(out, "WARNING   no fresh session list for %s s: what the cluster said before stands\n",
                overdue);
    else
        fprintf(
            out,
            "WARNING   no session list for %s s, none ever came: without one there is no failback. A cluster "
            "without this service: session { provider = \"none\" }\n",
            overdue);
}

static void print_observing(FILE *out, const cJSON *status)
{
    const cJSON *observe = document_get(status, "observe_only"), *file = document_get(status, "observe_file");

    if (cJSON_IsObject(observe))
        fprintf(out, "WARNING   this host only observes since %s: nothing is done until %s is gone\n",
                document_text(observe, "since"), document_text(observe, "file"));
    if (document_is_text(file, "error"))
        fprintf(out, "WARNING   %s cannot be looked for since %s: %s\n", document_text(file, "file"),
                document_text(file, "error_since"), document_text(file, "error"));
}

void warnings_print(FILE *out, const cJSON *status)
{
    print_observing(out, status);
    if (document_is(status, "decision", "nothing-eligible"))
        fprintf(out, "WARNING   no path to the service can be used\n");
    print_packets(out, status);
    print_programs(out, status);
    print_files(out, document_get(status, "not_kept"));
    if (document_is(document_get(status, "witness"), "says", "stalled"))
        fprintf(out, "WARNING   data of this host's own connections to the service are not acknowledged\n");
    print_cluster(out, status);
}
