/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tools that are compared, see compare.h. Each gets the list on its standard input and is told to send
 * one request to each address as fast as it can and to keep quiet, so that what is measured is probing. Those
 * that build their own Ethernet frames are told the way: the peer's MAC address.
 */
#include "bench/compare/compare.h"

#include "bench/study/stage.h"

/* In argv, these stand for what compare_places says. */
#define PLACE_OLD_SCHEME "{old-scheme}"
#define PLACE_THREADS    "{threads}"
#define PLACE_REROUTE    "{reroute}"

#define STANDARD_INPUT "/dev/stdin"
#define SECONDS(s, c)  "--select-timeout", s, "--select-count", c

const struct compare_way compare_ways[] = {
    {"reroute", "1x1", PLACE_REROUTE, {"report", "-q", "-f", "-"}, 1, " reachable", COMPARE_BEFORE},
    {"reroute",
     "0.1x10",
     PLACE_REROUTE,
     {"report", "-q", "-f", "-", SECONDS("0.1", "10")},
     1,
     " reachable",
     COMPARE_BEFORE},
    {"reroute",
     "0.01x100",
     PLACE_REROUTE,
     {"report", "-q", "-f", "-", SECONDS("0.01", "100")},
     1,
     " reachable",
     COMPARE_BEFORE},
    {"reroute --json",
     "1x1",
     PLACE_REROUTE,
     {"report", "--json", "-f", "-"},
     1,
     "\"reachable\":",
     COMPARE_AFTER},
    {COMPARE_OLD_NAME, "1x1", "python3", {PLACE_OLD_SCHEME, "1", "1", PLACE_THREADS}, 0, "\n", COMPARE_COUNT},
    {COMPARE_OLD_NAME,
     "0.1x10",
     "python3",
     {PLACE_OLD_SCHEME, "0.1", "10", PLACE_THREADS},
     0,
     "\n",
     COMPARE_COUNT},
    {COMPARE_OLD_NAME,
     "0.01x100",
     "python3",
     {PLACE_OLD_SCHEME, "0.01", "100", PLACE_THREADS},
     0,
     "\n",
     COMPARE_COUNT},
    {"fping",
     "1x1",
     "fping",
     {"-q", "-s", "-r0", "-t1000", "-i0", "-f", "-"},
     1,
     " alive",
     COMPARE_BEFORE,
     .on_error = true},
    {"zmap",
     "-",
     "zmap",
     {"-M",
      "icmp_echoscan",
      "-i",
      STAGE_INTERFACE,
      "-G",
      STAGE_PEER_MAC,
      "-r",
      "0",
      "-c",
      "1",
      "-T",
      "1",
      "-C",
      "/dev/null",
      "--blacklist-file=/dev/null",
      "-w",
      STANDARD_INPUT,
      "-o",
      "-",
      "-q"},
     0,
     "\n",
     COMPARE_COUNT},
    {"masscan",
     "-",
     "masscan",
     {"--ping", "-e", STAGE_INTERFACE, "--router-mac", STAGE_PEER_MAC, "--adapter-ip", STAGE_OUR_ADDRESS,
      "--adapter-mac", STAGE_OUR_MAC, "--rate", "100000", "--wait", "1", "-iL", STANDARD_INPUT, "-oL", "-"},
     0,
     "open icmp",
     COMPARE_COUNT},
    {"nmap",
     "-",
     "nmap",
     {"-n", "-sn", "-PE", "--disable-arp-ping", "--max-retries", "0", "-iL", "-", "-oG", "-"},
     0,
     "Status: Up",
     COMPARE_COUNT},
};
const size_t compare_way_count = ARRAY_SIZE(compare_ways);

static const char *fill_in(const char *word, const struct compare_places *places)
{
    const struct {
        const char *place, *text;
    } rows[] = {
        {PLACE_REROUTE, places->reroute},
        {PLACE_OLD_SCHEME, places->old_scheme},
        {PLACE_THREADS, places->threads},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strcmp(word, rows[i].place) == 0)
            return rows[i].text;
    return word;
}

void compare_arguments(const struct compare_way *way, const struct compare_places *places,
                       const char *argv[static COMPARE_ARGV_MAX])
{
    size_t count = 0;

    argv[count++] = fill_in(way->program, places);
    for (const char *const *word = way->argv; *word; word++)
        argv[count++] = fill_in(*word, places);
    argv[count] = NULL;
}

bool compare_is_installed(const struct compare_way *way, const struct compare_places *places)
{
    const char *program = fill_in(way->program, places);

    return strchr(program, '/') ? access(program, X_OK) == 0 : child_is_installed(program);
}

static int64_t count_all(const char *text, const char *needle)
{
    int64_t count = 0;

    for (; (text = strstr(text, needle)) != NULL; text += strlen(needle))
        count++;
    return count;
}

/* The number whose last digit is before `end`. */
static int64_t number_before(const char *text, const char *end)
{
    const char *first = end;

    while (first > text && first[-1] >= '0' && first[-1] <= '9')
        first--;
    return first < end ? strtoll(first, NULL, 10) : -EBADMSG;
}

int64_t compare_reachable(const struct compare_way *way, const struct child *child)
{
    const char *text = way->on_error ? child->error : child->out;
    const char *found;

    if (way->counting == COMPARE_COUNT)
        return count_all(text, way->needle);
    found = strstr(text, way->needle);
    if (!found)
        return -EBADMSG;
    return way->counting == COMPARE_BEFORE ? number_before(text, found)
                                           : strtoll(found + strlen(way->needle), NULL, 10);
}

void compare_version(const struct compare_way *way, const struct compare_places *places, char *version,
                     size_t size_bytes)
{
    const char *const argv[] = {fill_in(way->program, places), "--version", NULL};
    struct child child = {0};

    version[0] = '\0';
    if (child_run(&child, argv, NULL) == 0) {
        const char *number = strpbrk(child.out, "0123456789");

        if (number)
            snprintf(version, size_bytes, "%.*s", (int)strcspn(number, " \t\n(,"), number);
    }
    child_clear(&child);
}

int compare_list_make(struct compare_list *list, uint32_t addresses, uint32_t dead)
{
    size_t length;
    FILE *out = open_memstream(&list->text, &length);

    if (!out)
        return -ENOMEM;
    list->addresses = addresses;
    list->dead = dead;
    for (uint64_t i = 0; i < addresses; i++) {
        bool silent = (i + 1) * dead / addresses > i * dead / addresses;
        uint64_t host = i + 1;

        fprintf(out, "10.%u.%u.%u\n", (unsigned)(host >> 16) + (silent ? 128 : 0),
                (unsigned)(host >> 8 & 255), (unsigned)(host & 255));
    }
    return fclose(out) == 0 ? 0 : -ENOMEM;
}
