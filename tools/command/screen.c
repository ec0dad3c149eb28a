/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/command/screen.h"

#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <signal.h>
#include <stdlib.h>
#include <wchar.h>

#include "probe/text.h"
#include "tools/command/control_client.h"
#include "tools/command/watch.h"

#define ASK_NS (1 * NS_PER_S)
#define KEYS   "q end  up/down choose  p pin  u unpin  d drain/undrain  f failback"

struct screen {
    const char *socket_path;
    struct watch *watch;
    bool utf8;
    /* What is asked before it is done; no path: nothing. */
    const char *path; /* on the control socket */
    char body[256], question[256];
    char said[256]; /* what came of the last order */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = 1;
}

/* --- drawing --- */

static attr_t attribute(enum watch_style style)
{
    static const attr_t attributes[] = {
        [WATCH_PLAIN] = A_NORMAL,   [WATCH_BOLD] = A_BOLD, [WATCH_WARNING] = A_BOLD | A_STANDOUT,
        [WATCH_CHOSEN] = A_REVERSE, [WATCH_DIM] = A_DIM,
    };

    return attributes[style];
}

/* As far as it fits: characters that take two columns count twice. */
static void draw_line(const struct screen *screen, int row, const struct watch_line *line)
{
    wchar_t wide[WATCH_LINE_BYTES];
    size_t length = screen->utf8 ? mbstowcs(wide, line->text, WATCH_LINE_BYTES) : (size_t)-1;
    int columns = 0, n = 0;

    attrset(attribute(line->style));
    if (length == (size_t)-1) { /* bytes of others in a locale that does not know them */
        for (const char *c = line->text; *c && columns < COLS; c++, columns++)
            mvaddch(row, columns, (unsigned char)*c < 127 ? (chtype)(unsigned char)*c : '?');
    } else {
        while (n < (int)length && columns + wcwidth(wide[n]) <= COLS)
            columns += wcwidth(wide[n++]);
        mvaddnwstr(row, 0, wide, n);
    }
    for (; line->style == WATCH_CHOSEN && columns < COLS; columns++)
        mvaddch(row, columns, ' ');
    attrset(A_NORMAL);
}

static void draw(const struct screen *screen)
{
    static struct watch_frame frame;
    const char *prompt = screen->path ? screen->question : screen->said[0] ? screen->said : KEYS;

    watch_draw(screen->watch, COLS, LINES, screen->utf8, prompt, &frame);
    erase();
    for (int row = 0; row < frame.rows; row++)
        draw_line(screen, row, &frame.lines[row]);
    move(LINES - 1, 0);
    refresh();
}

/* --- the agent --- */

static void look(struct screen *screen)
{
    char message[512], when[16];
    time_t now = time(NULL);
    cJSON *status = NULL;
    struct tm tm;

    localtime_r(&now, &tm);
    strftime(when, sizeof(when), "%H:%M:%S", &tm);
    if (control_client_ask(screen->socket_path, "/v1/status", NULL, &status, NULL, message,
                           sizeof(message)) == 0)
        watch_take(screen->watch, status, when);
    else
        watch_miss(screen->watch, message, when);
}

static void carry_out(struct screen *screen)
{
    char message[512] = "done";
    cJSON *answer = NULL;
    const char *more;

    control_client_ask(screen->socket_path, screen->path, screen->body, &answer, NULL, message,
                       sizeof(message));
    more = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "message"));
    snprintf(screen->said, sizeof(screen->said), "%s", more ? TEXT(more) : answer ? "done" : TEXT(message));
    cJSON_Delete(answer);
    screen->path = NULL;
    look(screen);
}

/* --- keys --- */

/* Asks first: a key is pressed sooner than meant. member: of the request; NULL: it has none. */
static void propose(struct screen *screen, const char *path, const char *verb, const char *member,
                    const char *name)
{
    cJSON *request = cJSON_CreateObject();
    char *body;

    if (member && !name) {
        cJSON_Delete(request);
        return;
    }
    if (member)
        cJSON_AddStringToObject(request, member, name);
    body = cJSON_PrintUnformatted(request);
    snprintf(screen->body, sizeof(screen->body), "%s", body ? body : "{}");
    snprintf(screen->question, sizeof(screen->question), "%s%s%s? y: yes, any other key: no", verb,
             member ? " " : "", member ? TEXT(name) : "");
    screen->path = path;
    free(body);
    cJSON_Delete(request);
}

static void order(struct screen *screen, int key)
{
    bool drained;
    const char *access = watch_chosen(screen->watch, &drained);

    switch (key) {
    case 'p':
        propose(screen, "/v1/pin", "pin", "target", access);
        break;
    case 'u':
        propose(screen, "/v1/unpin", "unpin", NULL, NULL);
        break;
    case 'd':
        propose(screen, drained ? "/v1/undrain" : "/v1/drain", drained ? "undrain" : "drain", "access",
                access);
        break;
    case 'f':
        propose(screen, "/v1/failback", "failback now", NULL, NULL);
        break;
    case KEY_UP:
    case 'k':
        watch_choose(screen->watch, -1);
        break;
    case KEY_DOWN:
    case 'j':
        watch_choose(screen->watch, 1);
        break;
    default:
        break;
    }
}

/* False: it is over. */
static bool take_key(struct screen *screen, int key)
{
    if (key == ERR || key == KEY_RESIZE)
        return true;
    if (screen->path && key == 'y') {
        carry_out(screen);
        return true;
    }
    screen->said[0] = '\0';
    if (screen->path) {
        screen->path = NULL;
        return true;
    }
    order(screen, key);
    return key != 'q';
}

static void watch_over(struct screen *screen)
{
    uint64_t ask_ns = 0;
    bool goes_on = true;

    while (goes_on && !interrupted) {
        uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);

        if (now_ns >= ask_ns) {
            look(screen);
            ask_ns = now_ns + ASK_NS;
        }
        draw(screen);
        timeout((int)(sub_sat_u64(ask_ns, clock_now_ns(CLOCK_MONOTONIC)) / NS_PER_MS) + 1);
        goes_on = take_key(screen, getch());
    }
}

int screen_run(const char *socket_path)
{
    struct screen screen = {.socket_path = socket_path, .watch = watch_new()};
    const struct sigaction action = {.sa_handler = on_signal}; /* without SA_RESTART: getch() ends */

    if (!screen.watch)
        return 0;
    setlocale(LC_CTYPE, "");
    screen.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    initscr();
    cbreak();
    noecho();
    keypad(stdscr, true);
    curs_set(0);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    watch_over(&screen);
    endwin();
    watch_free(screen.watch);
    return 0;
}
