/* Preloaded where a list of what libzmq passes is made: notes each type of socket that a test makes.

   Appends "TYPE TEST" to the file that CONFORMANCE_SOCKETS names, with the test that pytest says is current,
   and calls the library that CONFORMANCE_LIBRARY names: Python keeps it where RTLD_NEXT does not look. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void *zmq_socket(void *context, int type)
{
    void *library = dlopen(getenv("CONFORMANCE_LIBRARY"), RTLD_LAZY);
    void *(*real)(void *, int) = (void *(*)(void *, int)) dlsym(library, "zmq_socket");
    const char *path = getenv("CONFORMANCE_SOCKETS");
    const char *test = getenv("PYTEST_CURRENT_TEST");

    if (path) {
        int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (file != -1) {
            dprintf(file, "%d %s\n", type, test ? test : "");
            close(file);
        }
    }
    return real(context, type);
}
