/* A program for libzmq itself: one line for each story that is kept, and status 1 at the first promise that is
   broken. The stories are of sockets that are full or alone, of messages of several parts, and of rarer calls. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <zmq.h>

#include "story.h"

#define MORE (ZMQ_SNDMORE | ZMQ_DONTWAIT)
#define MANY 20000

static void *context;

static void set(void *socket, int option, int value)
{
    PROMISE(zmq_setsockopt(socket, option, &value, sizeof value) == 0);
}

static void *opened(int type)
{
    void *socket = zmq_socket(context, type);
    PROMISE(socket);
    set(socket, ZMQ_LINGER, 0);
    set(socket, ZMQ_RCVTIMEO, CALL_MILLISECONDS);
    set(socket, ZMQ_SNDTIMEO, CALL_MILLISECONDS);
    return socket;
}

/* A socket whose queues hold one message. */
static void *narrow(int type)
{
    void *socket = opened(type);
    set(socket, ZMQ_SNDHWM, 1);
    set(socket, ZMQ_RCVHWM, 1);
    return socket;
}

static void bound(void *socket)
{
    PROMISE(zmq_bind(socket, "tcp://127.0.0.1:*") == 0);
}

static void connected(void *socket, void *to)
{
    char endpoint[256];
    size_t size = sizeof endpoint;
    PROMISE(zmq_getsockopt(to, ZMQ_LAST_ENDPOINT, endpoint, &size) == 0 && zmq_connect(socket, endpoint) == 0);
}

static void closed(void *one, void *other)
{
    PROMISE(zmq_close(one) == 0 && zmq_close(other) == 0);
}

static bool says(void *socket, const char *text, int flags)
{
    return zmq_send(socket, text, strlen(text), flags) == (int)strlen(text);
}

/* Whether this is the next part, and whether others follow it. */
static bool hears(void *socket, const char *text, int more)
{
    char got[64];
    int follow, length = zmq_recv(socket, got, sizeof got, 0);
    size_t size = sizeof follow;
    PROMISE(zmq_getsockopt(socket, ZMQ_RCVMORE, &follow, &size) == 0);
    return length == (int)strlen(text) && memcmp(got, text, length) == 0 && follow == more;
}

static bool polled(void *socket, int events, long milliseconds)
{
    zmq_pollitem_t item = {socket, 0, (short)events, 0};
    return zmq_poll(&item, 1, milliseconds) == 1;
}

/* A publisher that loses nothing refuses a message at its first part, or not at all. */
static void a_publisher_that_is_full_refuses_the_first_part(void)
{
    int types[] = {ZMQ_PUB, ZMQ_XPUB}, number, sent, heard;
    const char *places[] = {"inproc://pub", "inproc://xpub"};
    for (number = 0; number < 2; number++) {
        void *server = narrow(types[number]), *client = narrow(ZMQ_SUB), *other = opened(ZMQ_SUB);
        set(server, ZMQ_XPUB_NODROP, 1);
        PROMISE(zmq_bind(server, places[number]) == 0);
        PROMISE(zmq_connect(client, places[number]) == 0 && zmq_connect(other, places[number]) == 0);
        PROMISE(zmq_setsockopt(client, ZMQ_SUBSCRIBE, "a", 1) == 0);
        PROMISE(zmq_setsockopt(other, ZMQ_SUBSCRIBE, "b", 1) == 0);
        for (sent = 0; says(server, "a", MORE); sent++)
            PROMISE(sent < 100 && says(server, "body", ZMQ_DONTWAIT));
        PROMISE(errno == EAGAIN && sent > 0);
        PROMISE(!says(server, "a", MORE) && errno == EAGAIN);
        set(server, ZMQ_SNDTIMEO, 20);
        PROMISE(!says(server, "a", ZMQ_SNDMORE) && errno == EAGAIN);
        /* It is full for its own subscriber alone. */
        PROMISE(says(server, "b", MORE) && says(server, "body", ZMQ_DONTWAIT));
        PROMISE(hears(other, "b", 1) && hears(other, "body", 0));
        for (heard = 0; heard < sent; heard++)
            PROMISE(hears(client, "a", 1) && hears(client, "body", 0));
        set(server, ZMQ_SNDTIMEO, CALL_MILLISECONDS);
        PROMISE(says(server, "a", ZMQ_SNDMORE) && says(server, "last", 0));
        PROMISE(hears(client, "a", 1) && hears(client, "last", 0));
        PROMISE(zmq_close(other) == 0);
        closed(server, client);
    }
}

/* A ROUTER that has to reach its peer does the same, and can be polled for room. */
static void a_router_that_must_route_waits_with_the_name(void)
{
    void *router = narrow(ZMQ_ROUTER), *dealer = narrow(ZMQ_DEALER);
    int sent, heard;
    set(router, ZMQ_ROUTER_MANDATORY, 1);
    PROMISE(zmq_bind(router, "inproc://router") == 0);
    PROMISE(!polled(router, ZMQ_POLLOUT, 0));
    PROMISE(!says(router, "anna", MORE) && errno == EHOSTUNREACH);
    PROMISE(zmq_setsockopt(dealer, ZMQ_ROUTING_ID, "anna", 4) == 0);
    PROMISE(zmq_connect(dealer, "inproc://router") == 0);
    PROMISE(says(dealer, "hello", 0) && hears(router, "anna", 1) && hears(router, "hello", 0));
    PROMISE(polled(router, ZMQ_POLLOUT, 0));
    for (sent = 0; says(router, "anna", MORE); sent++)
        PROMISE(sent < 100 && says(router, "body", ZMQ_DONTWAIT));
    PROMISE(errno == EAGAIN && sent > 0);
    PROMISE(!polled(router, ZMQ_POLLOUT, 0));
    set(router, ZMQ_SNDTIMEO, 20);
    PROMISE(!says(router, "anna", ZMQ_SNDMORE) && errno == EAGAIN);
    /* Only the name is refused: a message that was begun without that is dropped. */
    set(router, ZMQ_ROUTER_MANDATORY, 0);
    PROMISE(says(router, "anna", MORE));
    set(router, ZMQ_ROUTER_MANDATORY, 1);
    PROMISE(says(router, "dropped", ZMQ_DONTWAIT));
    set(router, ZMQ_SNDTIMEO, CALL_MILLISECONDS);
    for (heard = 0; heard < sent; heard++)
        PROMISE(hears(dealer, "body", 0));
    PROMISE(polled(router, ZMQ_POLLOUT, CALL_MILLISECONDS));
    PROMISE(says(router, "anna", ZMQ_SNDMORE) && says(router, "last", 0) && hears(dealer, "last", 0));
    closed(router, dealer);
}

/* What was begun for a peer that then goes is dropped: the next message begins anew. */
static void a_message_ends_though_its_peer_has_gone(void)
{
    void *router = opened(ZMQ_ROUTER), *dealer = opened(ZMQ_DEALER);
    set(router, ZMQ_ROUTER_MANDATORY, 1);
    bound(router);
    PROMISE(zmq_setsockopt(dealer, ZMQ_ROUTING_ID, "anna", 4) == 0);
    connected(dealer, router);
    PROMISE(says(dealer, "hello", 0) && hears(router, "anna", 1) && hears(router, "hello", 0));
    PROMISE(says(router, "anna", ZMQ_SNDMORE));
    PROMISE(zmq_close(dealer) == 0);
    usleep(300000);
    PROMISE(says(router, "body", 0));
    PROMISE(!says(router, "anna", MORE) && errno == EHOSTUNREACH);
    PROMISE(zmq_close(router) == 0);
}

/* A sender that does not wait is told so, and begins anew. */
static void a_message_that_was_begun_for_nobody_is_not_finished_for_another(void)
{
    void *push = opened(ZMQ_PUSH), *pull = opened(ZMQ_PULL);
    bound(push);
    connected(pull, push);
    PROMISE(polled(push, ZMQ_POLLOUT, CALL_MILLISECONDS) && says(push, "lost", MORE));
    PROMISE(zmq_close(pull) == 0);
    usleep(300000);
    PROMISE(!says(push, "body", ZMQ_DONTWAIT) && errno == EAGAIN);
    pull = opened(ZMQ_PULL);
    connected(pull, push);
    PROMISE(polled(push, ZMQ_POLLOUT, CALL_MILLISECONDS));
    PROMISE(says(push, "first", MORE) && says(push, "second", ZMQ_DONTWAIT));
    PROMISE(hears(pull, "first", 1) && hears(pull, "second", 0));
    closed(push, pull);
}

/* A connection to a STREAM, and the name that it has there. */
static int connection(void *stream, char *name, int *length)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char endpoint[256];
    size_t size = sizeof endpoint;
    int client = socket(AF_INET, SOCK_STREAM, 0);
    PROMISE(zmq_getsockopt(stream, ZMQ_LAST_ENDPOINT, endpoint, &size) == 0);
    address.sin_port = htons(atoi(strrchr(endpoint, ':') + 1));
    PROMISE(connect(client, (struct sockaddr *)&address, sizeof address) == 0);
    *length = zmq_recv(stream, name, 256, 0);
    PROMISE(*length > 0 && hears(stream, "", 0));
    return client;
}

static void octets_end_though_their_peer_has_gone(void)
{
    void *stream = opened(ZMQ_STREAM);
    char name[256], octets[8];
    int length, client;
    bound(stream);
    client = connection(stream, name, &length);
    PROMISE(zmq_send(stream, name, length, ZMQ_SNDMORE) == length);
    close(client);
    PROMISE(zmq_recv(stream, name, sizeof name, 0) == length && hears(stream, "", 0));
    usleep(300000);
    PROMISE(says(stream, "lost", 0));
    client = connection(stream, name, &length);
    PROMISE(zmq_send(stream, name, length, ZMQ_SNDMORE) == length && says(stream, "octets", 0));
    PROMISE(recv(client, octets, sizeof octets, 0) == 6 && memcmp(octets, "octets", 6) == 0);
    close(client);
    PROMISE(zmq_close(stream) == 0);
}

/* A sender with room is not told to wait, however much it has sent. */
static void a_socket_with_room_never_refuses_a_part(void)
{
    int types[][2] = {{ZMQ_PUSH, ZMQ_PULL}, {ZMQ_DEALER, ZMQ_DEALER}, {ZMQ_PAIR, ZMQ_PAIR}}, pair, number;
    for (pair = 0; pair < 3; pair++) {
        void *sender = opened(types[pair][0]), *receiver = opened(types[pair][1]);
        set(sender, ZMQ_SNDHWM, 0);
        bound(receiver);
        connected(sender, receiver);
        PROMISE(polled(sender, ZMQ_POLLOUT, CALL_MILLISECONDS));
        for (number = 0; number < MANY; number++) {
            PROMISE(says(sender, "first", MORE) && says(sender, "second", ZMQ_DONTWAIT));
            PROMISE(polled(sender, ZMQ_POLLOUT, 0));
        }
        for (number = 0; number < MANY; number++)
            PROMISE(hears(receiver, "first", 1) && hears(receiver, "second", 0));
        closed(sender, receiver);
    }
}

/* To look whether another request has come is not to receive it. */
static void a_publisher_subscribes_the_peer_of_the_request_that_it_received(void)
{
    void *server = opened(ZMQ_XPUB), *anna = opened(ZMQ_SUB), *bert = opened(ZMQ_SUB);
    set(server, ZMQ_XPUB_MANUAL, 1);
    PROMISE(zmq_bind(server, "inproc://manual") == 0);
    PROMISE(zmq_connect(anna, "inproc://manual") == 0 && zmq_connect(bert, "inproc://manual") == 0);
    PROMISE(zmq_setsockopt(anna, ZMQ_SUBSCRIBE, "anna", 4) == 0);
    PROMISE(hears(server, "\1anna", 0));
    PROMISE(zmq_setsockopt(bert, ZMQ_SUBSCRIBE, "bert", 4) == 0);
    PROMISE(polled(server, ZMQ_POLLIN, CALL_MILLISECONDS));
    PROMISE(zmq_setsockopt(server, ZMQ_SUBSCRIBE, "anna", 4) == 0);
    PROMISE(hears(server, "\1bert", 0));
    PROMISE(zmq_setsockopt(server, ZMQ_SUBSCRIBE, "bert", 4) == 0);
    PROMISE(says(server, "anna", 0) && says(server, "bert", 0));
    PROMISE(hears(anna, "anna", 0) && hears(bert, "bert", 0));
    PROMISE(zmq_close(server) == 0);
    closed(anna, bert);
}

/* A ROUTER of raw peers does as a STREAM does. */
static void a_router_may_have_raw_peers(void)
{
    void *router = opened(ZMQ_ROUTER);
    char name[256], octets[8];
    int length, client;
    set(router, ZMQ_ROUTER_RAW, 1);
    bound(router);
    client = connection(router, name, &length);
    PROMISE(send(client, "hello", 5, 0) == 5);
    PROMISE(zmq_recv(router, name, sizeof name, 0) == length && hears(router, "hello", 0));
    PROMISE(zmq_send(router, name, length, ZMQ_SNDMORE) == length && says(router, "octets", 0));
    PROMISE(recv(client, octets, sizeof octets, 0) == 6 && memcmp(octets, "octets", 6) == 0);
    close(client);
    PROMISE(zmq_close(router) == 0);
}

/* An option may be changed at any time, and then concerns what comes later. */
static void options_may_come_late(void)
{
    void *push = narrow(ZMQ_PUSH), *pull = opened(ZMQ_PULL), *dealer = opened(ZMQ_DEALER);
    void *request = opened(ZMQ_REQ), *router = opened(ZMQ_ROUTER), *other = opened(ZMQ_ROUTER);
    char part[64];
    int value;
    size_t size = sizeof value;
    PROMISE(zmq_connect(push, "tcp://127.0.0.1:1") == 0);
    set(push, ZMQ_IMMEDIATE, 1);
    PROMISE(zmq_connect(push, "tcp://127.0.0.1:2") == 0);
    PROMISE(says(push, "for the first", ZMQ_DONTWAIT));
    PROMISE(!says(push, "for the second", ZMQ_DONTWAIT) && errno == EAGAIN);
    bound(pull);
    set(pull, ZMQ_CONFLATE, 1);
    PROMISE(zmq_getsockopt(pull, ZMQ_CONFLATE, &value, &size) == 0 && value == 1);
    bound(router);
    connected(request, router);
    PROMISE(says(request, "1", 0) && zmq_recv(router, part, sizeof part, 0) == 5);
    PROMISE(hears(router, "", 1) && hears(router, "1", 0));
    PROMISE(zmq_send(router, part, 5, ZMQ_SNDMORE) == 5 && says(router, "", ZMQ_SNDMORE) && says(router, "one", 0));
    PROMISE(hears(request, "one", 0));
    set(request, ZMQ_REQ_CORRELATE, 1);
    PROMISE(says(request, "2", 0) && zmq_recv(router, part, sizeof part, 0) == 5);
    PROMISE(zmq_recv(router, part, sizeof part, 0) == 4 && hears(router, "", 1) && hears(router, "2", 0));
    connected(dealer, router);
    PROMISE(says(dealer, "unasked", 0) && zmq_recv(router, part, sizeof part, 0) == 5 && hears(router, "unasked", 0));
    set(dealer, ZMQ_PROBE_ROUTER, 1);
    bound(other);
    connected(dealer, other);
    PROMISE(zmq_recv(other, part, sizeof part, 0) == 5 && hears(other, "", 0));
    closed(push, pull);
    closed(dealer, request);
    closed(router, other);
}

static void errors_and_defaults_are_the_same(void)
{
    void *subscriber = opened(ZMQ_SUB), *plain = zmq_socket(context, ZMQ_SUB), *dealer = zmq_socket(context, ZMQ_DEALER);
    int value;
    size_t size = sizeof value;
    PROMISE(zmq_unbind(subscriber, "foo://bar") == -1 && errno == EPROTONOSUPPORT);
    PROMISE(zmq_disconnect(subscriber, "foo://bar") == -1 && errno == EPROTONOSUPPORT);
    PROMISE(zmq_disconnect(subscriber, "tcp://127.0.0.1:1") == -1 && errno == ENOENT);
    PROMISE(strcmp(zmq_strerror(EHOSTUNREACH), "Host unreachable") == 0);
    PROMISE(zmq_getsockopt(plain, ZMQ_LINGER, &value, &size) == 0 && value == 0);
    PROMISE(zmq_getsockopt(dealer, ZMQ_LINGER, &value, &size) == 0 && value == -1);
    PROMISE(zmq_setsockopt(dealer, ZMQ_PLAIN_PASSWORD, "secret", 6) == 0);
    PROMISE(zmq_getsockopt(dealer, ZMQ_MECHANISM, &value, &size) == 0 && value == ZMQ_PLAIN);
    PROMISE(zmq_setsockopt(dealer, ZMQ_PLAIN_PASSWORD, "", 0) == -1 && errno == EINVAL);
    PROMISE(zmq_setsockopt(dealer, ZMQ_PLAIN_PASSWORD, NULL, 0) == 0);
    PROMISE(zmq_getsockopt(dealer, ZMQ_MECHANISM, &value, &size) == 0 && value == ZMQ_NULL);
    /* PINGs without a time for the answer. */
    set(subscriber, ZMQ_HEARTBEAT_IVL, 1000);
    set(subscriber, ZMQ_HEARTBEAT_TIMEOUT, 0);
    PROMISE(zmq_connect(subscriber, "tcp://127.0.0.1:1") == 0);
    PROMISE(zmq_close(subscriber) == 0);
    closed(plain, dealer);
}

/* What happens inside the process is no event; an address that is in use is. */
static void a_monitor_tells_of_a_bind_that_failed(void)
{
    void *first = opened(ZMQ_PAIR), *second = opened(ZMQ_PAIR), *monitor = opened(ZMQ_PAIR);
    char endpoint[256], event[6];
    uint16_t number;
    uint32_t value;
    size_t size = sizeof endpoint;
    bound(first);
    PROMISE(zmq_getsockopt(first, ZMQ_LAST_ENDPOINT, endpoint, &size) == 0);
    PROMISE(zmq_socket_monitor(second, "inproc://monitor", ZMQ_EVENT_ALL & ~ZMQ_EVENT_CLOSED) == 0);
    PROMISE(zmq_connect(monitor, "inproc://monitor") == 0);
    PROMISE(zmq_bind(second, "inproc://inside") == 0 && zmq_unbind(second, "inproc://inside") == 0);
    PROMISE(zmq_bind(second, endpoint) == -1);
    PROMISE(zmq_recv(monitor, event, sizeof event, 0) == sizeof event);
    memcpy(&number, event, sizeof number);
    memcpy(&value, event + sizeof number, sizeof value);
    PROMISE(number == ZMQ_EVENT_BIND_FAILED && value == EADDRINUSE);
    PROMISE(hears(monitor, endpoint + strlen("tcp://"), 0));
    PROMISE(zmq_close(monitor) == 0);
    closed(first, second);
}

static void uses_much_stack(void *blocked)
{
    volatile char much[4 << 20];
    sigset_t set;
    size_t place;
    for (place = 0; place < sizeof much; place += 4096)
        much[place] = 1;
    PROMISE(pthread_sigmask(SIG_BLOCK, NULL, &set) == 0);
    *(bool *)blocked = sigismember(&set, SIGUSR1) == 1 && sigismember(&set, SIGINT) == 1;
}

static void a_thread_has_the_stack_of_any_other_and_no_signals(void)
{
    bool blocked = false;
    void *thread = zmq_threadstart(uses_much_stack, &blocked);
    zmq_threadclose(thread);
    PROMISE(blocked);
}

int main(int count, char **words)
{
    context = zmq_ctx_new();
    TELL(a_publisher_that_is_full_refuses_the_first_part);
    TELL(a_router_that_must_route_waits_with_the_name);
    TELL(a_message_ends_though_its_peer_has_gone);
    TELL(a_message_that_was_begun_for_nobody_is_not_finished_for_another);
    TELL(octets_end_though_their_peer_has_gone);
    TELL(a_socket_with_room_never_refuses_a_part);
    TELL(a_publisher_subscribes_the_peer_of_the_request_that_it_received);
    TELL(a_router_may_have_raw_peers);
    TELL(options_may_come_late);
    TELL(errors_and_defaults_are_the_same);
    TELL(a_monitor_tells_of_a_bind_that_failed);
    TELL(a_thread_has_the_stack_of_any_other_and_no_signals);
    return zmq_ctx_term(context);
}
