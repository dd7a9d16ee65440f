/* Code that the two programs share: promises, stories, and an end for each of them. */
#ifndef STORY_H
#define STORY_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* No story lasts longer, and no single call. */
#define STORY_SECONDS 20
#define CALL_MILLISECONDS 5000

static const char *story_name = "";

static void story_too_long(int number)
{
    static const char text[] = ": no end\n";
    (void)number;
    (void)!write(2, story_name, strlen(story_name));
    (void)!write(2, text, sizeof text - 1);
    _exit(1);
}

#define PROMISE(condition)                                                                    \
    do {                                                                                      \
        if (!(condition)) {                                                                   \
            fprintf(stderr, "%s: line %d: broken: %s\n", story_name, __LINE__, #condition);   \
            _exit(1);                                                                         \
        }                                                                                     \
    } while (0)

/* Tells the story of that name, if no other is asked for. */
static void tell(int count, char **words, const char *name, void (*story)(void))
{
    int word, chosen = count == 1;
    for (word = 1; word < count; word++)
        chosen |= strcmp(words[word], name) == 0;
    if (!chosen)
        return;
    story_name = name;
    signal(SIGALRM, story_too_long);
    alarm(STORY_SECONDS);
    story();
    alarm(0);
    printf("%s: kept\n", name);
    fflush(stdout);
}

#define TELL(story) tell(count, words, #story, story)

#endif
