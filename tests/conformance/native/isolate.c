/* Linked into each test program, or preloaded: CONFORMANCE_ISOLATE=1 gives the process a network namespace
   of its own, with nothing but a loopback interface. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void write_to(const char *path, const char *text)
{
    int file = open(path, O_WRONLY);
    if (file == -1 || write(file, text, strlen(text)) == -1) {
        perror(path);
        _exit(99);
    }
    close(file);
}

__attribute__((constructor)) static void isolate(void)
{
    char map[64];
    uid_t user = geteuid();
    gid_t group = getegid();
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int s;

    if (!getenv("CONFORMANCE_ISOLATE"))
        return;
    if (unshare(CLONE_NEWNET) == -1) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET) == -1) {
            perror("unshare");
            _exit(99);
        }
        write_to("/proc/self/setgroups", "deny");
        snprintf(map, sizeof map, "%u %u 1", user, user);
        write_to("/proc/self/uid_map", map);
        snprintf(map, sizeof map, "%u %u 1", group, group);
        write_to("/proc/self/gid_map", map);
    }
    s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s == -1 || ioctl(s, SIOCSIFFLAGS, &loopback) == -1) {
        perror("loopback");
        _exit(99);
    }
    close(s);
    /* A child stays in this namespace. */
    unsetenv("CONFORMANCE_ISOLATE");
}
