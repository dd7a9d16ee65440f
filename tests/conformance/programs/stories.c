/* A program for CZMQ: one line for each story that is kept, and status 1 at the first promise that is broken. */
#include <czmq.h>

#include "story.h"

static zsock_t *opened(int type)
{
    zsock_t *socket = zsock_new(type);
    PROMISE(socket);
    zsock_set_linger(socket, 0);
    zsock_set_rcvtimeo(socket, CALL_MILLISECONDS);
    zsock_set_sndtimeo(socket, CALL_MILLISECONDS);
    return socket;
}

static zsock_t *bound(int type)
{
    zsock_t *socket = opened(type);
    PROMISE(zsock_bind(socket, "tcp://127.0.0.1:*") > 0);
    return socket;
}

static zsock_t *connected(int type, zsock_t *to)
{
    zsock_t *socket = opened(type);
    PROMISE(zsock_connect(socket, "%s", zsock_endpoint(to)) == 0);
    return socket;
}

/* Whether this text is the next message of one part. */
static bool hears(void *socket, const char *expected)
{
    char *text = zstr_recv(socket);
    bool same = text && streq(text, expected);
    zstr_free(&text);
    return same;
}

/* Gives an actor a command of one to four words, and waits until it is done. */
static void command(zactor_t *actor, const char *one, const char *two, const char *three, const char *four)
{
    PROMISE(zstr_sendx(actor, one, two, three, four, NULL) == 0 && zsock_wait(actor) == 0);
}

static void sockets_of_two_ends(void)
{
    zsock_t *server = bound(ZMQ_REP), *client = connected(ZMQ_REQ, server);
    zchunk_t *chunk = zchunk_new("chunk", 5), *got = NULL;
    char *text = NULL;
    int number;
    uint64_t large;
    PROMISE(streq(zsock_type_str(client), "REQ") && zsock_type(server) == ZMQ_REP);
    PROMISE(zsock_send(client, "is8c", -7, "text", UINT64_MAX, chunk) == 0);
    PROMISE(zsock_recv(server, "is8c", &number, &text, &large, &got) == 0);
    PROMISE(number == -7 && streq(text, "text") && large == UINT64_MAX && zchunk_size(got) == 5);
    PROMISE(zsock_signal(server, 3) == 0 && zsock_wait(client) == 3);
    zstr_free(&text);
    zchunk_destroy(&chunk);
    zchunk_destroy(&got);
    zsock_destroy(&client);
    zsock_destroy(&server);
}

static void messages_keep_their_frames(void)
{
    zsock_t *router = bound(ZMQ_ROUTER), *dealer = opened(ZMQ_DEALER);
    zmsg_t *message = zmsg_new();
    zframe_t *name, *large, *frame;
    zsock_set_identity(dealer, "anna");
    PROMISE(zsock_connect(dealer, "%s", zsock_endpoint(router)) == 0);
    zmsg_addstr(message, "one");
    zmsg_addmem(message, NULL, 0);
    large = zframe_new(NULL, 200000);
    memset(zframe_data(large), 'x', 200000);
    zmsg_append(message, &large);
    frame = zmsg_encode(message);
    PROMISE(zmsg_send(&message, dealer) == 0 && !message);
    message = zmsg_recv(router);
    PROMISE(message && zmsg_size(message) == 4);
    name = zmsg_unwrap(message);
    PROMISE(zframe_streq(name, "anna"));
    zframe_destroy(&name);
    PROMISE(zmsg_size(message) == 3 && zframe_size(zmsg_first(message)) == 3);
    PROMISE(zframe_size(zmsg_last(message)) == 200000);
    zmsg_destroy(&message);
    message = zmsg_decode(frame);
    PROMISE(message && zmsg_size(message) == 3);
    zmsg_destroy(&message);
    zframe_destroy(&frame);
    zsock_destroy(&dealer);
    zsock_destroy(&router);
}

static void echo(zsock_t *pipe, void *more)
{
    char *text;
    zsock_signal(pipe, 0);
    while ((text = zstr_recv(pipe)) && !streq(text, "$TERM")) {
        zstr_sendx(pipe, more, text, NULL);
        zstr_free(&text);
    }
    zstr_free(&text);
}

static void actors_answer_and_end(void)
{
    int round;
    for (round = 0; round < 20; round++) {
        zactor_t *actor = zactor_new(echo, "echo");
        PROMISE(actor && zstr_send(actor, "hello") == 0);
        PROMISE(hears(actor, "echo") && hears(actor, "hello"));
        zactor_destroy(&actor);
    }
}

static void a_proxy_pauses_and_resumes(void)
{
    zactor_t *proxy = zactor_new(zproxy, NULL);
    zsock_t *capture = opened(ZMQ_PULL), *client = opened(ZMQ_PUSH), *server = opened(ZMQ_PULL);
    PROMISE(zsock_bind(capture, "inproc://capture") == 0);
    command(proxy, "FRONTEND", "PULL", "inproc://front", NULL);
    command(proxy, "BACKEND", "PUSH", "inproc://back", NULL);
    command(proxy, "CAPTURE", "inproc://capture", NULL, NULL);
    PROMISE(zsock_connect(client, "inproc://front") == 0 && zsock_connect(server, "inproc://back") == 0);
    zstr_sendx(client, "a", "b", NULL);
    PROMISE(hears(server, "a") && zsock_rcvmore(server) && hears(server, "b") && !zsock_rcvmore(server));
    PROMISE(hears(capture, "a") && hears(capture, "b"));
    command(proxy, "PAUSE", NULL, NULL, NULL);
    zstr_send(client, "later");
    zsock_set_rcvtimeo(server, 50);
    PROMISE(!zstr_recv(server));
    zsock_set_rcvtimeo(server, CALL_MILLISECONDS);
    command(proxy, "RESUME", NULL, NULL, NULL);
    PROMISE(hears(server, "later"));
    zsock_destroy(&client);
    zsock_destroy(&server);
    zactor_destroy(&proxy);
    zsock_destroy(&capture);
}

/* Whether a client, which has its credentials, gets a message from a server. It waits for one that comes, or
   for `milliseconds` at most. */
static bool gets_in(zsock_t *server, zsock_t *client, int milliseconds)
{
    bool heard;
    PROMISE(zsock_bind(server, "tcp://127.0.0.1:*") > 0);
    PROMISE(zsock_connect(client, "%s", zsock_endpoint(server)) == 0);
    zsock_set_sndtimeo(server, milliseconds);
    zsock_set_rcvtimeo(client, milliseconds);
    heard = zstr_send(server, "welcome") == 0 && hears(client, "welcome");
    zsock_destroy(&client);
    zsock_destroy(&server);
    return heard;
}

static bool password_gets_in(const char *password, int milliseconds)
{
    zsock_t *server = opened(ZMQ_PUSH), *client = opened(ZMQ_PULL);
    zsock_set_zap_domain(server, "global");
    zsock_set_plain_server(server, 1);
    zsock_set_plain_username(client, "anna");
    zsock_set_plain_password(client, password);
    return gets_in(server, client, milliseconds);
}

static bool certificate_gets_in(zcert_t *own, zcert_t *clients, int milliseconds)
{
    zsock_t *server = opened(ZMQ_PUSH), *client = opened(ZMQ_PULL);
    zsock_set_zap_domain(server, "global");
    zcert_apply(own, server);
    zsock_set_curve_server(server, 1);
    zcert_apply(clients, client);
    zsock_set_curve_serverkey(client, zcert_public_txt(own));
    return gets_in(server, client, milliseconds);
}

static void passwords_are_checked(void)
{
    zactor_t *judge = zactor_new(zauth, NULL);
    FILE *file = fopen("passwords", "w");
    PROMISE(judge && file && fprintf(file, "anna=right\n") > 0 && fclose(file) == 0);
    PROMISE(!password_gets_in("right", 100));
    command(judge, "PLAIN", "passwords", NULL, NULL);
    PROMISE(password_gets_in("right", CALL_MILLISECONDS));
    PROMISE(!password_gets_in("wrong", 100));
    zactor_destroy(&judge);
    zsys_file_delete("passwords");
}

static void certificates_are_checked(void)
{
    zactor_t *judge = zactor_new(zauth, NULL);
    zcert_t *server = zcert_new(), *friend = zcert_new(), *stranger = zcert_new();
    PROMISE(judge && server && zsys_dir_create("friends") == 0);
    zcert_set_meta(friend, "name", "%s", "anna");
    PROMISE(zcert_save_public(friend, "friends/anna.txt") == 0);
    command(judge, "CURVE", "friends", NULL, NULL);
    PROMISE(certificate_gets_in(server, friend, CALL_MILLISECONDS));
    PROMISE(!certificate_gets_in(server, stranger, 100));
    command(judge, "CURVE", CURVE_ALLOW_ANY, NULL, NULL);
    PROMISE(certificate_gets_in(server, stranger, CALL_MILLISECONDS));
    command(judge, "DENY", "127.0.0.1", NULL, NULL);
    PROMISE(!certificate_gets_in(server, friend, 100));
    zcert_destroy(&server);
    zcert_destroy(&friend);
    zcert_destroy(&stranger);
    zactor_destroy(&judge);
    zsys_file_delete("friends/anna.txt");
    zsys_dir_delete("friends");
}

/* Waits for the monitor's next event, which must be this one. */
static void happens(zactor_t *monitor, const char *event)
{
    zmsg_t *message = zmsg_recv(monitor);
    char *name = message ? zmsg_popstr(message) : NULL;
    if (!name || !streq(name, event))
        fprintf(stderr, "expected %s, not %s\n", event, name ? name : "nothing");
    PROMISE(name && streq(name, event));
    zstr_free(&name);
    zmsg_destroy(&message);
}

static void a_monitor_tells_what_happens(void)
{
    zsock_t *server = opened(ZMQ_DEALER), *client;
    zactor_t *monitor = zactor_new(zmonitor, server);
    PROMISE(monitor);
    zsock_set_rcvtimeo(zactor_sock(monitor), CALL_MILLISECONDS);
    PROMISE(zstr_sendx(monitor, "LISTEN", "LISTENING", "ACCEPTED", "DISCONNECTED", NULL) == 0);
    command(monitor, "START", NULL, NULL, NULL);
    PROMISE(zsock_bind(server, "tcp://127.0.0.1:*") > 0);
    happens(monitor, "LISTENING");
    client = connected(ZMQ_DEALER, server);
    happens(monitor, "ACCEPTED");
    zstr_send(client, "here");
    PROMISE(hears(server, "here"));
    zsock_destroy(&client);
    happens(monitor, "DISCONNECTED");
    zactor_destroy(&monitor);
    zsock_destroy(&server);
}

static void a_poller_finds_the_ready_one(void)
{
    zsock_t *one = bound(ZMQ_PULL), *two = bound(ZMQ_PULL), *push = connected(ZMQ_PUSH, two);
    zpoller_t *poller = zpoller_new(one, two, NULL);
    PROMISE(!zpoller_wait(poller, 20) && zpoller_expired(poller) && !zpoller_terminated(poller));
    zstr_send(push, "x");
    PROMISE(zpoller_wait(poller, CALL_MILLISECONDS) == two && hears(two, "x"));
    PROMISE(zpoller_remove(poller, two) == 0);
    zstr_send(push, "y");
    PROMISE(!zpoller_wait(poller, 20));
    PROMISE(zpoller_add(poller, two) == 0 && zpoller_wait(poller, CALL_MILLISECONDS) == two);
    zpoller_destroy(&poller);
    zsock_destroy(&push);
    zsock_destroy(&two);
    zsock_destroy(&one);
}

static int tick(zloop_t *loop, int timer, void *push)
{
    (void)loop, (void)timer;
    return zstr_send(push, "tick");
}

static int on_tick(zloop_t *loop, zsock_t *socket, void *count)
{
    (void)loop;
    PROMISE(hears(socket, "tick"));
    return ++*(int *)count == 5 ? -1 : 0;
}

static int never(zloop_t *loop, int timer, void *argument)
{
    (void)loop, (void)timer, (void)argument;
    PROMISE(!"a timer that was ended runs");
    return -1;
}

static void a_loop_calls_its_readers_and_timers(void)
{
    zsock_t *pull = bound(ZMQ_PULL), *push = connected(ZMQ_PUSH, pull);
    zloop_t *loop = zloop_new();
    int count = 0, ended = zloop_timer(loop, 1000, 1, never, NULL);
    PROMISE(zloop_reader(loop, pull, on_tick, &count) == 0);
    PROMISE(zloop_timer(loop, 2, 5, tick, push) != -1 && zloop_timer_end(loop, ended) == 0);
    PROMISE(zloop_start(loop) == -1 && count == 5);
    zloop_destroy(&loop);
    zsock_destroy(&push);
    zsock_destroy(&pull);
}

static void subscribers_hear_what_they_ask_for(void)
{
    zsock_t *publisher = bound(ZMQ_XPUB), *subscriber = opened(ZMQ_SUB);
    zframe_t *asked;
    zsock_set_subscribe(subscriber, "rain");
    PROMISE(zsock_connect(subscriber, "%s", zsock_endpoint(publisher)) == 0);
    asked = zframe_recv(publisher);
    PROMISE(asked && zframe_size(asked) == 5 && zframe_data(asked)[0] == 1);
    zframe_destroy(&asked);
    zstr_send(publisher, "sun");
    zstr_sendf(publisher, "rain %d", 7);
    PROMISE(hears(subscriber, "rain 7"));
    zsock_destroy(&subscriber);
    zsock_destroy(&publisher);
}

int main(int count, char **words)
{
    zsys_init();
    zsys_handler_set(NULL);
    TELL(sockets_of_two_ends);
    TELL(messages_keep_their_frames);
    TELL(actors_answer_and_end);
    TELL(a_proxy_pauses_and_resumes);
    TELL(passwords_are_checked);
    TELL(certificates_are_checked);
    TELL(a_monitor_tells_what_happens);
    TELL(a_poller_finds_the_ready_one);
    TELL(a_loop_calls_its_readers_and_timers);
    TELL(subscribers_hear_what_they_ask_for);
    /* No socket is left: the context of CZMQ ends. */
    alarm(STORY_SECONDS);
    zsys_shutdown();
    return 0;
}
