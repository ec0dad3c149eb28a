/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lock is two things. An agent that is refused one of them does not start:
 *
 *   a name   a Unix socket in the abstract namespace, named after the service and the table. It belongs to
 *            the network namespace, as the route does, needs no disk, and goes with its process.
 *   a file   flock(2) on "lock" in the state directory. Only we can open it.
 *
 * Each guards what the other cannot. The file cannot be made when the directory is full, read-only, missing
 * or not ours; then the name is enough. The name can be taken by any local user; that is no reason not to
 * start, so a holder who is neither root nor ourselves (nor the agent's user, see own_file.h) does not count, and the
 * file is enough. The same for a
 * file that somebody opened while it was still readable: it is made anew. A restart must not depend on what
 * others do. Nor does one count who cannot be asked because others have filled his queue: he could be anybody.
 *
 * Who holds it is asked of the kernel, never read from a file.
 */
#include "route/agent/lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "route/own_file.h"

static socklen_t name_of(struct sockaddr_un *name, const struct address *service, uint32_t table)
{
    int length;

    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    length = snprintf(name->sun_path + 1, sizeof(name->sun_path) - 1, "reroute/%" PRIu32 "/%s", table,
                      ADDRESS_TEXT(service));
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

/* The listener there: -EWOULDBLOCK when he counts, -EADDRINUSE when he does not. */
static int ask_holder(const struct sockaddr_un *name, socklen_t length, const char *directory, pid_t *holder)
{
    struct ucred user = {0};
    socklen_t size_bytes = sizeof(user);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool known;

    if (fd < 0)
        return -errno;
    known = connect(fd, (const struct sockaddr *)name, length) == 0 &&
            getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &user, &size_bytes) == 0;
    close(fd);
    if (!known || !own_user_of(directory, user.uid))
        return -EADDRINUSE;
    *holder = user.pid;
    return -EWOULDBLOCK;
}

static int take_name(const struct address *service, uint32_t table, const char *directory, pid_t *holder)
{
    struct sockaddr_un name;
    socklen_t length = name_of(&name, service, table);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;

    if (fd < 0)
        return -errno;
    if (bind(fd, (const struct sockaddr *)&name, length) < 0)
        error = errno == EADDRINUSE ? ask_holder(&name, length, directory, holder) : -errno;
    else if (listen(fd, SOMAXCONN) < 0)
        error = -errno;
    if (error < 0)
        close(fd);
    return error < 0 ? error : fd;
}

/* "1: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF", proc_locks(5). */
static pid_t holder_of(int fd)
{
    FILE *file = fopen("/proc/locks", "re");
    char line[256];
    pid_t found = 0;
    struct stat st;

    if (file && fstat(fd, &st) == 0)
        while (!found && fgets(line, sizeof(line), file)) {
            unsigned major_number, minor_number;
            unsigned long long inode;
            int pid;

            if (sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%llu", &pid, &major_number, &minor_number,
                       &inode) == 4 &&
                inode == st.st_ino && makedev(major_number, minor_number) == st.st_dev && pid > 0)
                found = pid;
        }
    if (file)
        fclose(file);
    return found;
}

static bool is_stranger(pid_t pid, const char *directory)
{
    struct stat st;
    char path[32];

    snprintf(path, sizeof(path), "/proc/%d", (int)pid);
    return pid && stat(path, &st) == 0 && !own_user_of(directory, st.st_uid);
}

/* Even where nothing can be written the file that is there can be locked. */
static int open_file(const char *directory)
{
    int fd = own_file_open(directory, LOCK_FILE, O_RDWR | O_CREAT);
    int reading;

    if (fd >= 0)
        return fd;
    reading = own_file_open(directory, LOCK_FILE, O_RDONLY);
    return reading >= 0 ? reading : fd;
}

static bool is_still_named(int fd, const char *directory)
{
    int again = own_file_open(directory, LOCK_FILE, O_RDONLY);
    struct stat held, named;
    bool same = again >= 0 && fstat(fd, &held) == 0 && fstat(again, &named) == 0 &&
                held.st_dev == named.st_dev && held.st_ino == named.st_ino;

    close_fd(again);
    return same;
}

/* One try. -EAGAIN: what was there was nothing of ours, and has been removed. */
static int try_file(const char *directory, pid_t *holder)
{
    int fd = open_file(directory);
    bool removed;

    if (fd == -ENXIO || fd == -ELOOP || fd == -EPERM)
        return own_file_remove(directory, LOCK_FILE) == 0 ? -EAGAIN : fd;
    if (fd < 0)
        return fd;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        if (is_still_named(fd, directory))
            return fd;
        close(fd);
        return -EAGAIN;
    }
    if (errno != EWOULDBLOCK) {
        int error = -errno; /* not every system and not every disk can lock */

        close(fd);
        return error;
    }
    *holder = holder_of(fd);
    removed = is_stranger(*holder, directory) && own_file_remove(directory, LOCK_FILE) == 0;
    close(fd);
    return removed ? -EAGAIN : -EWOULDBLOCK;
}

static int take_file(const char *directory, pid_t *holder)
{
    int fd = -EAGAIN;

    for (int i = 0; i < 3 && fd == -EAGAIN; i++)
        fd = try_file(directory, holder);
    return fd;
}

int lock_take(struct lock *lock, const char *directory, const struct address *service, uint32_t table,
              pid_t *holder, int *file_error, int *name_error)
{
    *holder = 0;
    *file_error = *name_error = 0;
    *lock = (struct lock){.name_fd = take_name(service, table, directory, holder), .file_fd = -1};
    if (lock->name_fd != -EWOULDBLOCK)
        lock->file_fd = take_file(directory, holder);
    if (lock->name_fd == -EWOULDBLOCK || lock->file_fd == -EWOULDBLOCK) {
        lock_release(lock);
        return -EWOULDBLOCK;
    }
    if (lock->file_fd < 0)
        *file_error = lock->file_fd;
    if (lock->name_fd < 0)
        *name_error = lock->name_fd;
    return 0;
}

int lock_take_file(struct lock *lock, const char *directory)
{
    pid_t holder = 0;
    int fd = take_file(directory, &holder);

    if (fd < 0)
        return fd;
    lock->file_fd = fd;
    return 0;
}

void lock_release(struct lock *lock)
{
    lock->file_fd = close_fd(lock->file_fd);
    lock->name_fd = close_fd(lock->name_fd);
}

const char *lock_refusal_text(pid_t holder, char *message, size_t size_bytes)
{
    if (holder > 0)
        snprintf(message, size_bytes, "an agent for this service runs already (pid %d)", (int)holder);
    else
        snprintf(message, size_bytes, "an agent for this service runs already");
    return message;
}
