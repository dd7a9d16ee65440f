// A program for cppzmq: one line for each story that is kept, and status 1 at the first promise that is broken.
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <zmq.hpp>
#include <zmq_addon.hpp>

#include "story.h"

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using zmq::socket_type;

static const auto limit = std::chrono::milliseconds(CALL_MILLISECONDS);

static zmq::socket_t open(zmq::context_t &context, socket_type type)
{
    zmq::socket_t socket(context, type);
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::rcvtimeo, CALL_MILLISECONDS);
    socket.set(zmq::sockopt::sndtimeo, CALL_MILLISECONDS);
    return socket;
}

// Where a socket is bound now, on a port of the system's choice.
static std::string bound(zmq::socket_t &socket, const char *endpoint = "tcp://127.0.0.1:*")
{
    socket.bind(endpoint);
    return socket.get(zmq::sockopt::last_endpoint);
}

static void say(zmq::socket_t &socket, const std::string &text, zmq::send_flags flags = zmq::send_flags::none)
{
    PROMISE(socket.send(zmq::buffer(text), flags));
}

static std::string hear(zmq::socket_t &socket)
{
    zmq::message_t message;
    PROMISE(socket.recv(message));
    return message.to_string();
}

// The error number that an action throws, or 0.
template <typename Action> static int error_of(Action action)
{
    try {
        action();
    } catch (const zmq::error_t &error) {
        return error.num();
    }
    return 0;
}

static void request_and_reply()
{
    zmq::context_t context;
    for (const char *endpoint : {"tcp://127.0.0.1:*", "ipc://*", "inproc://place"}) {
        auto server = open(context, socket_type::rep), client = open(context, socket_type::req);
        client.connect(bound(server, endpoint));
        std::thread service([&] {
            for (int number = 0; number < 100; number++)
                say(server, hear(server) + "!");
        });
        for (int number = 0; number < 100; number++) {
            say(client, std::to_string(number));
            PROMISE(hear(client) == std::to_string(number) + "!");
        }
        service.join();
        PROMISE(error_of([&] { hear(client); }) == EFSM);
    }
}

static void publish_and_subscribe()
{
    zmq::context_t context;
    auto publisher = open(context, socket_type::xpub), subscriber = open(context, socket_type::sub);
    subscriber.connect(bound(publisher));
    subscriber.set(zmq::sockopt::subscribe, "rain");
    PROMISE(hear(publisher) == std::string("\x01rain"));
    say(publisher, "sun");
    say(publisher, "rainbow");
    PROMISE(hear(subscriber) == "rainbow");
    subscriber.set(zmq::sockopt::unsubscribe, "rain");
    PROMISE(hear(publisher) == std::string("\x00rain", 5));
    subscriber.set(zmq::sockopt::rcvtimeo, 50);
    say(publisher, "rain");
    zmq::message_t message;
    PROMISE(!subscriber.recv(message));
}

static void messages_of_many_parts()
{
    zmq::context_t context;
    auto left = open(context, socket_type::pair), right = open(context, socket_type::pair);
    right.connect(bound(left));

    zmq::multipart_t sent;
    sent.addstr("text");
    sent.addtyp<uint32_t>(0xfeedbeef);
    sent.add(zmq::message_t());
    sent.addstr(std::string(300000, 'x'));
    auto expected = sent.clone();
    PROMISE(sent.send(left) && sent.empty());
    zmq::multipart_t got;
    PROMISE(got.recv(right) && got == expected);
    PROMISE(got.popstr() == "text" && got.poptyp<uint32_t>() == 0xfeedbeef && got.pop().size() == 0);

    std::vector<zmq::const_buffer> parts{zmq::str_buffer("a"), zmq::str_buffer(""), zmq::str_buffer("ccc")};
    PROMISE(zmq::send_multipart(right, parts) == 3u);
    std::vector<zmq::message_t> received;
    PROMISE(zmq::recv_multipart(left, std::back_inserter(received)) == 3u);
    PROMISE(received[0].more() && received[1].more() && !received[2].more());
    PROMISE(received[2].to_string_view() == "ccc");

    std::vector<zmq::message_t> decoded;
    zmq::decode(zmq::encode(received), std::back_inserter(decoded));
    PROMISE(decoded == received);
}

static void free_one(void *data, void *hint)
{
    delete[] static_cast<char *>(data);
    ++*static_cast<std::atomic<int> *>(hint);
}

static void messages_are_moved_copied_and_freed()
{
    std::atomic<int> freed(0);
    {
        zmq::context_t context;
        auto left = open(context, socket_type::push), right = open(context, socket_type::pull);
        right.connect(bound(left));
        char *octets = new char[100000];
        memset(octets, 'o', 100000);
        zmq::message_t message(octets, 100000, free_one, &freed);
        zmq::message_t copy;
        copy.copy(message);
        zmq::message_t moved(std::move(message));
        PROMISE(message.size() == 0 && moved == copy && moved.to_string() == std::string(100000, 'o'));
        PROMISE(left.send(std::move(moved), zmq::send_flags::none) == 100000u);
        zmq::message_t received;
        PROMISE(right.recv(received) == 100000u && received == copy);
        PROMISE(std::string(received.gets("Socket-Type")) == "PUSH");
        PROMISE(std::string(received.gets("Peer-Address")) == "127.0.0.1");
        PROMISE(error_of([&] { (void)received.gets("No-Such-Property"); }) == EINVAL);
        received.rebuild("short", 5);
        PROMISE(received.to_string() == "short");
        char room[3];
        say(left, "longer");
        auto cut = right.recv(zmq::buffer(room));
        PROMISE(cut && cut->truncated() && cut->untruncated_size == 6 && memcmp(room, "lon", 3) == 0);
    }
    // Another thread may free it, but soon.
    for (auto end = Clock::now() + limit; freed == 0 && Clock::now() < end;)
        std::this_thread::sleep_for(1ms);
    PROMISE(freed == 1);
}

static void routers_know_their_peers()
{
    zmq::context_t context;
    auto router = open(context, socket_type::router), dealer = open(context, socket_type::dealer);
    router.set(zmq::sockopt::router_mandatory, true);
    dealer.set(zmq::sockopt::routing_id, "anna");
    PROMISE(dealer.get(zmq::sockopt::routing_id) == "anna");
    dealer.connect(bound(router));
    say(dealer, "hello");
    zmq::multipart_t asked;
    PROMISE(asked.recv(router) && asked.size() == 2 && asked.popstr() == "anna" && asked.popstr() == "hello");
    say(router, "anna", zmq::send_flags::sndmore);
    say(router, "welcome");
    PROMISE(hear(dealer) == "welcome");
    PROMISE(error_of([&] { say(router, "nobody", zmq::send_flags::sndmore); }) == EHOSTUNREACH);
}

static void polling_tells_what_is_ready()
{
    zmq::context_t context;
    auto one = open(context, socket_type::pull), two = open(context, socket_type::pull);
    auto push = open(context, socket_type::push);
    int ends[2];
    PROMISE(pipe(ends) == 0);
    push.connect(bound(one));
    bound(two);
    std::vector<zmq::pollitem_t> items{
        {one.handle(), 0, ZMQ_POLLIN, 0}, {two.handle(), 0, ZMQ_POLLIN, 0}, {nullptr, ends[0], ZMQ_POLLIN, 0}};
    auto begin = Clock::now();
    PROMISE(zmq::poll(items, 30ms) == 0 && Clock::now() - begin >= 29ms);
    say(push, "to one");
    PROMISE(zmq::poll(items, limit) == 1 && items[0].revents == ZMQ_POLLIN && !items[1].revents);
    PROMISE(one.get(zmq::sockopt::events) & ZMQ_POLLIN);
    PROMISE(hear(one) == "to one" && zmq::poll(items, 0ms) == 0);
    PROMISE(write(ends[1], "x", 1) == 1);
    PROMISE(zmq::poll(items, limit) == 1 && items[2].revents == ZMQ_POLLIN);
    push.connect(two.get(zmq::sockopt::last_endpoint));
    zmq::pollitem_t writable{push.handle(), 0, ZMQ_POLLOUT, 0};
    PROMISE(zmq::poll(&writable, 1, limit) == 1 && writable.revents == ZMQ_POLLOUT);
    close(ends[0]);
    close(ends[1]);
}

struct Monitor : zmq::monitor_t {
    int connected = 0, accepted = 0, shaken = 0, refused = 0, ended = 0;
    std::string address;
    void on_event_connected(const zmq_event_t &, const char *at) override { connected++, address = at; }
    void on_event_accepted(const zmq_event_t &, const char *at) override { accepted++, address = at; }
    void on_event_handshake_succeeded(const zmq_event_t &, const char *) override { shaken++; }
    void on_event_handshake_failed_protocol(const zmq_event_t &, const char *) override { refused++; }
    void on_event_handshake_failed_no_detail(const zmq_event_t &, const char *) override { refused++; }
    void on_event_disconnected(const zmq_event_t &, const char *) override { ended++; }

    void until(const int &counter)
    {
        for (auto end = Clock::now() + limit; counter == 0; check_event(100))
            PROMISE(Clock::now() < end);
    }
};

static void monitors_tell_what_happens()
{
    zmq::context_t context;
    auto server = open(context, socket_type::pair);
    Monitor servers, clients;
    servers.init(server, "inproc://servers");
    auto endpoint = bound(server);
    {
        auto client = open(context, socket_type::pair);
        clients.init(client, "inproc://clients");
        client.connect(endpoint);
        clients.until(clients.connected);
        clients.until(clients.shaken);
        PROMISE(clients.address == endpoint);
        servers.until(servers.accepted);
        servers.until(servers.shaken);
        PROMISE(clients.refused == 0);
        // A monitor is closed before its socket.
        clients = Monitor();
    }
    servers.until(servers.ended);
}

static void a_proxy_is_steered()
{
    zmq::context_t context;
    auto front = open(context, socket_type::router), back = open(context, socket_type::dealer);
    auto capture = open(context, socket_type::push), captured = open(context, socket_type::pull);
    auto control = open(context, socket_type::pair), steering = open(context, socket_type::pair);
    auto server = open(context, socket_type::rep), client = open(context, socket_type::req);
    captured.bind("inproc://captured");
    capture.connect("inproc://captured");
    steering.bind("inproc://steering");
    control.connect("inproc://steering");
    client.connect(bound(front));
    server.connect(bound(back));
    std::thread proxy([&] { zmq::proxy_steerable(zmq::socket_ref(front), back, capture, control); });
    say(client, "ask");
    PROMISE(hear(server) == "ask");
    say(server, "answer");
    PROMISE(hear(client) == "answer");
    for (const char *last : {"ask", "answer"}) {
        zmq::multipart_t parts;
        PROMISE(parts.recv(captured) && parts.size() == 3 && parts.peekstr(2) == last);
    }
    say(steering, "PAUSE");
    say(steering, "STATISTICS");
    zmq::multipart_t statistics;
    PROMISE(statistics.recv(steering) && statistics.size() == 8);
    // Octets: the router's name for the client (5), the empty part, and the text. Debian's libzmq 4.3.4 counts
    // messages, 4.3.5 parts.
    PROMISE(statistics.peektyp<uint64_t>(1) == 5 + 3 && statistics.peektyp<uint64_t>(3) == 5 + 6);
    say(client, "while it rests");
    server.set(zmq::sockopt::rcvtimeo, 50);
    zmq::message_t nothing;
    PROMISE(!server.recv(nothing));
    server.set(zmq::sockopt::rcvtimeo, CALL_MILLISECONDS);
    say(steering, "RESUME");
    PROMISE(hear(server) == "while it rests");
    say(steering, "TERMINATE");
    proxy.join();
}

static void a_context_that_ends_wakes_all()
{
    zmq::context_t context(2);
    PROMISE(context.get(zmq::ctxopt::io_threads) == 2);
    std::atomic<int> ready(0), woken(0);
    std::vector<std::thread> waiting;
    for (auto type : {socket_type::pull, socket_type::sub, socket_type::router})
        waiting.emplace_back([&context, &ready, &woken, type] {
            auto socket = open(context, type);
            socket.set(zmq::sockopt::rcvtimeo, -1);
            bound(socket);
            ready++;
            zmq::message_t message;
            woken += error_of([&] { (void)socket.recv(message); }) == ETERM;
        });
    while (ready < 3)
        std::this_thread::yield();
    context.shutdown();
    for (auto &thread : waiting)
        thread.join();
    PROMISE(woken == 3);
    PROMISE(error_of([&] { open(context, socket_type::pair); }) == ETERM);
    context.close();
}

static void curve_lets_in_whom_it_knows()
{
    char key[41], secret[41], other[41], ignored[41];
    PROMISE(zmq_curve_keypair(key, secret) == 0 && zmq_curve_keypair(other, ignored) == 0);
    zmq::context_t context;
    auto server = open(context, socket_type::push);
    server.set(zmq::sockopt::curve_server, true);
    server.set(zmq::sockopt::curve_secretkey, secret);
    auto endpoint = bound(server);
    auto join = [&](const char *server_key) {
        auto client = open(context, socket_type::pull);
        char own[41], own_secret[41];
        zmq_curve_keypair(own, own_secret);
        client.set(zmq::sockopt::curve_serverkey, server_key);
        client.set(zmq::sockopt::curve_publickey, own);
        client.set(zmq::sockopt::curve_secretkey, own_secret);
        PROMISE(client.get(zmq::sockopt::curve_serverkey) == server_key);
        client.connect(endpoint);
        return client;
    };
    auto wrong = join(other);
    auto right = join(key);
    for (int number = 0; number < 10; number++)
        say(server, "secret " + std::to_string(number));
    for (int number = 0; number < 10; number++)
        PROMISE(hear(right) == "secret " + std::to_string(number));
    wrong.set(zmq::sockopt::rcvtimeo, 50);
    zmq::message_t nothing;
    PROMISE(!wrong.recv(nothing));
}

static void mistakes_are_errors()
{
    zmq::context_t context;
    auto pull = open(context, socket_type::pull), other = open(context, socket_type::pull);
    auto endpoint = bound(pull);
    PROMISE(error_of([&] { other.bind(endpoint); }) == EADDRINUSE);
    PROMISE(error_of([&] { other.connect("nonsense"); }) == EINVAL);
    PROMISE(error_of([&] { other.connect("none://here"); }) == EPROTONOSUPPORT);
    PROMISE(error_of([&] { other.disconnect("tcp://127.0.0.1:9"); }) == ENOENT);
    PROMISE(error_of([&] { say(other, "no"); }) == ENOTSUP);
    PROMISE(error_of([&] { other.set(zmq::sockopt::sndhwm, -1); }) == EINVAL);
    PROMISE(error_of([&] { other.set(zmq::sockopt::subscribe, "x"); }) == EINVAL);
    PROMISE(std::string(zmq::error_t(ETERM).what()) != "" && other.get(zmq::sockopt::rcvhwm) == 1000);
    pull.unbind(endpoint);
    // The port is free soon after.
    for (auto end = Clock::now() + limit; error_of([&] { other.bind(endpoint); }) != 0;)
        PROMISE(Clock::now() < end);
    zmq::socket_t moved(std::move(other));
    PROMISE(!other.handle() && moved.handle() && moved.get(zmq::sockopt::type) == ZMQ_PULL);
    moved.close();
    PROMISE(error_of([&] { zmq::socket_ref(zmq::from_handle, nullptr).bind(endpoint); }) == ENOTSOCK);
}

// Threads' variables are gone when a program's last functions run, and a library that has some must do without.
static void sockets_work_until_the_program_has_ended()
{
    zmq::context_t context;
    auto server = open(context, socket_type::rep), client = open(context, socket_type::req);
    client.connect(bound(server));
    say(client, "last");
    PROMISE(hear(server) == "last");
    say(server, "words");
    PROMISE(hear(client) == "words");
}

static int arguments;
static char **argument;

static void at_the_end()
{
    tell(arguments, argument, "sockets_work_until_the_program_has_ended", sockets_work_until_the_program_has_ended);
}

int main(int count, char **words)
{
    arguments = count;
    argument = words;
    atexit(at_the_end);
    TELL(request_and_reply);
    TELL(publish_and_subscribe);
    TELL(messages_of_many_parts);
    TELL(messages_are_moved_copied_and_freed);
    TELL(routers_know_their_peers);
    TELL(polling_tells_what_is_ready);
    TELL(monitors_tell_what_happens);
    TELL(a_proxy_is_steered);
    TELL(a_context_that_ends_wakes_all);
    TELL(curve_lets_in_whom_it_knows);
    TELL(mistakes_are_errors);
    return 0;
}
