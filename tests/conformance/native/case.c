/* Linked into each of libzmq's test programs, before Unity's own UnityDefaultTestRun.

   CONFORMANCE_CASE=NAME runs that one case, and nothing that a program does after its cases; NAME#2 is the second of
   that name. Without it the program prints the names and runs none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int UnityEnd(void);
void __real_UnityDefaultTestRun(void (*test)(void), const char *name, int line);

static struct {
    const char *name;
    int times;
} seen[256];

/* How often this name has come up, this time included. */
static int count(const char *name)
{
    int i = 0;
    while (seen[i].name && strcmp(seen[i].name, name) != 0)
        i++;
    if (i == 255)
        abort();
    seen[i].name = name;
    return ++seen[i].times;
}

void __wrap_UnityDefaultTestRun(void (*test)(void), const char *name, int line)
{
    const char *chosen = getenv("CONFORMANCE_CASE");
    char full[256];
    int times = count(name);

    if (times == 1)
        snprintf(full, sizeof full, "%s", name);
    else
        snprintf(full, sizeof full, "%s#%d", name, times);
    if (!chosen)
        printf("case %s\n", full);
    else if (strcmp(chosen, full) == 0) {
        __real_UnityDefaultTestRun(test, name, line);
        exit(UnityEnd());
    }
}
