/* libzmq's C interface, as zmtp-ffi has it. Made by cbindgen from crates/zmtp-ffi: do not edit. */

#ifndef ZMQ_H_INCLUDED
#define ZMQ_H_INCLUDED

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define ZMQ_VERSION_MAJOR 4
#define ZMQ_VERSION_MINOR 3
#define ZMQ_VERSION_PATCH 5
#define ZMQ_MAKE_VERSION(major, minor, patch) ((major) * 10000 + (minor) * 100 + (patch))
#define ZMQ_VERSION ZMQ_MAKE_VERSION (ZMQ_VERSION_MAJOR, ZMQ_VERSION_MINOR, ZMQ_VERSION_PATCH)

/* Error numbers of libzmq's own. */
#define ZMQ_HAUSNUMERO 156384712
#define EFSM (ZMQ_HAUSNUMERO + 51)
#define ENOCOMPATPROTO (ZMQ_HAUSNUMERO + 52)
#define ETERM (ZMQ_HAUSNUMERO + 53)
#define EMTHREAD (ZMQ_HAUSNUMERO + 54)

#define ZMQ_HAS_CAPABILITIES 1
#define ZMQ_HAVE_TIMERS

/* One part of a message: its memory is the program's, and what lies in it is not. It may be moved. */
typedef union zmq_msg_t {
  unsigned char octets[64];
  void *alignment;
} zmq_msg_t;

typedef int zmq_fd_t;
typedef void (zmq_free_fn) (void *data, void *hint);
typedef void (zmq_timer_fn) (int timer_id, void *arg);
typedef void (zmq_thread_fn) (void *arg);

#define ZMQ_IO_THREADS 1

#define ZMQ_MAX_SOCKETS 2

#define ZMQ_SOCKET_LIMIT 3

#define ZMQ_THREAD_PRIORITY 3

#define ZMQ_THREAD_SCHED_POLICY 4

#define ZMQ_MAX_MSGSZ 5

#define ZMQ_MSG_T_SIZE 6

#define ZMQ_THREAD_AFFINITY_CPU_ADD 7

#define ZMQ_THREAD_AFFINITY_CPU_REMOVE 8

#define ZMQ_THREAD_NAME_PREFIX 9

#define ZMQ_IO_THREADS_DFLT 1

#define ZMQ_MAX_SOCKETS_DFLT 1023

#define ZMQ_THREAD_PRIORITY_DFLT -1

#define ZMQ_THREAD_SCHED_POLICY_DFLT -1

#define ZMQ_PAIR 0

#define ZMQ_PUB 1

#define ZMQ_SUB 2

#define ZMQ_REQ 3

#define ZMQ_REP 4

#define ZMQ_DEALER 5

#define ZMQ_ROUTER 6

#define ZMQ_PULL 7

#define ZMQ_PUSH 8

#define ZMQ_XPUB 9

#define ZMQ_XSUB 10

#define ZMQ_STREAM 11

#define ZMQ_XREQ ZMQ_DEALER

#define ZMQ_XREP ZMQ_ROUTER

#define ZMQ_AFFINITY 4

#define ZMQ_ROUTING_ID 5

#define ZMQ_SUBSCRIBE 6

#define ZMQ_UNSUBSCRIBE 7

#define ZMQ_RATE 8

#define ZMQ_RECOVERY_IVL 9

#define ZMQ_SNDBUF 11

#define ZMQ_RCVBUF 12

#define ZMQ_RCVMORE 13

#define ZMQ_FD 14

#define ZMQ_EVENTS 15

#define ZMQ_TYPE 16

#define ZMQ_LINGER 17

#define ZMQ_RECONNECT_IVL 18

#define ZMQ_BACKLOG 19

#define ZMQ_RECONNECT_IVL_MAX 21

#define ZMQ_MAXMSGSIZE 22

#define ZMQ_SNDHWM 23

#define ZMQ_RCVHWM 24

#define ZMQ_MULTICAST_HOPS 25

#define ZMQ_RCVTIMEO 27

#define ZMQ_SNDTIMEO 28

#define ZMQ_LAST_ENDPOINT 32

#define ZMQ_ROUTER_MANDATORY 33

#define ZMQ_TCP_KEEPALIVE 34

#define ZMQ_TCP_KEEPALIVE_CNT 35

#define ZMQ_TCP_KEEPALIVE_IDLE 36

#define ZMQ_TCP_KEEPALIVE_INTVL 37

#define ZMQ_IMMEDIATE 39

#define ZMQ_XPUB_VERBOSE 40

#define ZMQ_ROUTER_RAW 41

#define ZMQ_IPV6 42

#define ZMQ_MECHANISM 43

#define ZMQ_PLAIN_SERVER 44

#define ZMQ_PLAIN_USERNAME 45

#define ZMQ_PLAIN_PASSWORD 46

#define ZMQ_CURVE_SERVER 47

#define ZMQ_CURVE_PUBLICKEY 48

#define ZMQ_CURVE_SECRETKEY 49

#define ZMQ_CURVE_SERVERKEY 50

#define ZMQ_PROBE_ROUTER 51

#define ZMQ_REQ_CORRELATE 52

#define ZMQ_REQ_RELAXED 53

#define ZMQ_CONFLATE 54

#define ZMQ_ZAP_DOMAIN 55

#define ZMQ_ROUTER_HANDOVER 56

#define ZMQ_TOS 57

#define ZMQ_CONNECT_ROUTING_ID 61

#define ZMQ_GSSAPI_SERVER 62

#define ZMQ_GSSAPI_PRINCIPAL 63

#define ZMQ_GSSAPI_SERVICE_PRINCIPAL 64

#define ZMQ_GSSAPI_PLAINTEXT 65

#define ZMQ_HANDSHAKE_IVL 66

#define ZMQ_SOCKS_PROXY 68

#define ZMQ_XPUB_NODROP 69

#define ZMQ_BLOCKY 70

#define ZMQ_XPUB_MANUAL 71

#define ZMQ_XPUB_WELCOME_MSG 72

#define ZMQ_STREAM_NOTIFY 73

#define ZMQ_INVERT_MATCHING 74

#define ZMQ_HEARTBEAT_IVL 75

#define ZMQ_HEARTBEAT_TTL 76

#define ZMQ_HEARTBEAT_TIMEOUT 77

#define ZMQ_XPUB_VERBOSER 78

#define ZMQ_CONNECT_TIMEOUT 79

#define ZMQ_TCP_MAXRT 80

#define ZMQ_THREAD_SAFE 81

#define ZMQ_MULTICAST_MAXTPDU 84

#define ZMQ_VMCI_BUFFER_SIZE 85

#define ZMQ_VMCI_BUFFER_MIN_SIZE 86

#define ZMQ_VMCI_BUFFER_MAX_SIZE 87

#define ZMQ_VMCI_CONNECT_TIMEOUT 88

#define ZMQ_USE_FD 89

#define ZMQ_GSSAPI_PRINCIPAL_NAMETYPE 90

#define ZMQ_GSSAPI_SERVICE_PRINCIPAL_NAMETYPE 91

#define ZMQ_BINDTODEVICE 92

#define ZMQ_MORE 1

#define ZMQ_SHARED 3

#define ZMQ_DONTWAIT 1

#define ZMQ_SNDMORE 2

#define ZMQ_NULL 0

#define ZMQ_PLAIN 1

#define ZMQ_CURVE 2

#define ZMQ_GSSAPI 3

#define ZMQ_GROUP_MAX_LENGTH 255

#define ZMQ_IDENTITY ZMQ_ROUTING_ID

#define ZMQ_CONNECT_RID ZMQ_CONNECT_ROUTING_ID

#define ZMQ_TCP_ACCEPT_FILTER 38

#define ZMQ_IPC_FILTER_PID 58

#define ZMQ_IPC_FILTER_UID 59

#define ZMQ_IPC_FILTER_GID 60

#define ZMQ_IPV4ONLY 31

#define ZMQ_DELAY_ATTACH_ON_CONNECT ZMQ_IMMEDIATE

#define ZMQ_NOBLOCK ZMQ_DONTWAIT

#define ZMQ_FAIL_UNROUTABLE ZMQ_ROUTER_MANDATORY

#define ZMQ_ROUTER_BEHAVIOR ZMQ_ROUTER_MANDATORY

#define ZMQ_SRCFD 2

#define ZMQ_GSSAPI_NT_HOSTBASED 0

#define ZMQ_GSSAPI_NT_USER_NAME 1

#define ZMQ_GSSAPI_NT_KRB5_PRINCIPAL 2

#define ZMQ_EVENT_CONNECTED 1

#define ZMQ_EVENT_CONNECT_DELAYED 2

#define ZMQ_EVENT_CONNECT_RETRIED 4

#define ZMQ_EVENT_LISTENING 8

#define ZMQ_EVENT_BIND_FAILED 16

#define ZMQ_EVENT_ACCEPTED 32

#define ZMQ_EVENT_ACCEPT_FAILED 64

#define ZMQ_EVENT_CLOSED 128

#define ZMQ_EVENT_CLOSE_FAILED 256

#define ZMQ_EVENT_DISCONNECTED 512

#define ZMQ_EVENT_MONITOR_STOPPED 1024

#define ZMQ_EVENT_ALL 65535

#define ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL 2048

#define ZMQ_EVENT_HANDSHAKE_SUCCEEDED 4096

#define ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL 8192

#define ZMQ_EVENT_HANDSHAKE_FAILED_AUTH 16384

#define ZMQ_PROTOCOL_ERROR_ZMTP_UNSPECIFIED 268435456

#define ZMQ_PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND 268435457

#define ZMQ_PROTOCOL_ERROR_ZMTP_INVALID_SEQUENCE 268435458

#define ZMQ_PROTOCOL_ERROR_ZMTP_KEY_EXCHANGE 268435459

#define ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED 268435473

#define ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_MESSAGE 268435474

#define ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_HELLO 268435475

#define ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_INITIATE 268435476

#define ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_ERROR 268435477

#define ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_READY 268435478

#define ZMQ_PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_WELCOME 268435479

#define ZMQ_PROTOCOL_ERROR_ZMTP_INVALID_METADATA 268435480

#define ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC 285212673

#define ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH 285212674

#define ZMQ_PROTOCOL_ERROR_ZAP_UNSPECIFIED 536870912

#define ZMQ_PROTOCOL_ERROR_ZAP_MALFORMED_REPLY 536870913

#define ZMQ_PROTOCOL_ERROR_ZAP_BAD_REQUEST_ID 536870914

#define ZMQ_PROTOCOL_ERROR_ZAP_BAD_VERSION 536870915

#define ZMQ_PROTOCOL_ERROR_ZAP_INVALID_STATUS_CODE 536870916

#define ZMQ_PROTOCOL_ERROR_ZAP_INVALID_METADATA 536870917

#define ZMQ_PROTOCOL_ERROR_WS_UNSPECIFIED 805306368

#define ZMQ_POLLIN 1

#define ZMQ_POLLOUT 2

#define ZMQ_POLLERR 4

#define ZMQ_POLLPRI 8

#define ZMQ_POLLITEMS_DFLT 16

#define ZMQ_STREAMER 1

#define ZMQ_FORWARDER 2

#define ZMQ_QUEUE 3

// A socket or a file descriptor that `zmq_poll` waits for.
typedef struct {
  // The socket; null if `fd` is to be waited for.
  void *socket;
  // The file descriptor; ignored if there is a socket.
  int fd;
  // The events to wait for: `ZMQ_POLLIN`, `ZMQ_POLLOUT`, `ZMQ_POLLERR`, `ZMQ_POLLPRI`.
  short events;
  // The events that have occurred.
  short revents;
} zmq_pollitem_t;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Returns the error number of the last call that failed on this thread.
int zmq_errno(void);

// Returns the text of an error number.
const char *zmq_strerror(int errnum);

// Returns the version of libzmq whose behaviour this library has.
void zmq_version(int *major, int *minor, int *patch);

// Returns 1 if this optional part of libzmq is supported, and 0 otherwise.
int zmq_has(const char *capability);

// Makes a context.
void *zmq_ctx_new(void);

// Makes a context with this number of I/O threads.
void *zmq_init(int io_threads);

// Waits until all sockets of a context are closed and their lingering messages delivered, and ends the context.
int zmq_ctx_term(void *context);

// The same as `zmq_ctx_term`.
int zmq_term(void *context);

// The same as `zmq_ctx_term`.
int zmq_ctx_destroy(void *context);

// Makes all calls on the sockets of a context fail with `ETERM`, including those that are waiting.
int zmq_ctx_shutdown(void *context);

// Sets an option of a context.
int zmq_ctx_set(void *context, int option, int optval);

// Returns the value of an option of a context.
int zmq_ctx_get(void *context, int option);

// Makes an empty message.
int zmq_msg_init(zmq_msg_t *msg);

// Makes a message of `size` octets.
int zmq_msg_init_size(zmq_msg_t *msg, size_t size);

// Makes a message from the program's own octets. `ffn` frees them when they are no longer needed; if it is null, they
// must stay valid for ever.
int zmq_msg_init_data(zmq_msg_t *msg,
                      void *data,
                      size_t size,
                      void (*ffn)(void *data, void *hint),
                      void *hint);

// Closes a message.
int zmq_msg_close(zmq_msg_t *msg);

// Moves the content of `src` to `dest`, whose own content is released first. `src` is empty afterwards.
int zmq_msg_move(zmq_msg_t *dest,
                 zmq_msg_t *src);

// Makes `dest` share the octets of `src`. The former content of `dest` is released first.
int zmq_msg_copy(zmq_msg_t *dest, zmq_msg_t *src);

// The octets of a message. They may be written to only if nobody shares them: those of a message that was
// made with a size, and was neither copied nor sent.
void *zmq_msg_data(zmq_msg_t *msg);

// Returns the number of octets of a message.
size_t zmq_msg_size(const zmq_msg_t *msg);

// Returns 1 if another part of the same message follows, and 0 otherwise.
int zmq_msg_more(const zmq_msg_t *msg);

// Returns a property of a message.
int zmq_msg_get(const zmq_msg_t *msg, int property);

// Fails with `EINVAL`: a message has no property that can be set.
int zmq_msg_set(zmq_msg_t *_msg, int _property, int _optval);

// Returns a property of the peer that sent a message, or null.
const char *zmq_msg_gets(const zmq_msg_t *msg, const char *property);

// Sends a message, which is empty afterwards. Returns the number of octets sent.
int zmq_msg_send(zmq_msg_t *msg, void *socket, int flags);

// Receives a message into `msg`, whose former content is released. Returns its number of octets.
int zmq_msg_recv(zmq_msg_t *msg, void *socket, int flags);

// Makes a socket of a context.
void *zmq_socket(void *context, int kind);

// Closes a socket.
int zmq_close(void *socket);

// Sets an option of a socket.
int zmq_setsockopt(void *socket, int option, const void *optval, size_t optvallen);

// Returns the value of an option of a socket.
int zmq_getsockopt(void *socket, int option, void *optval, size_t *optvallen);

// Binds an endpoint, to which peers connect.
int zmq_bind(void *socket, const char *addr);

// Connects to the endpoint of a peer.
int zmq_connect(void *socket, const char *addr);

// Closes an endpoint that was bound.
int zmq_unbind(void *socket, const char *addr);

// Closes an endpoint that was connected.
int zmq_disconnect(void *socket, const char *addr);

// Sends a copy of the octets. Returns the number of octets sent.
int zmq_send(void *socket, const void *buf, size_t len, int flags);

// Sends octets that stay valid and unchanged for ever. Returns the number of octets sent.
int zmq_send_const(void *socket, const void *buf, size_t len, int flags);

// Receives octets; those beyond `len` are lost. Returns the number that came, which may be greater than `len`.
int zmq_recv(void *socket,
             void *buf,
             size_t len,
             int flags);

// Reports the events of a socket to a PAIR socket at an `inproc` endpoint.
int zmq_socket_monitor(void *socket, const char *addr, int events);

// Sends a message.
int zmq_sendmsg(void *socket, zmq_msg_t *msg, int flags);

// Receives a message.
int zmq_recvmsg(void *socket, zmq_msg_t *msg, int flags);

// Sends pieces of memory as the parts of a message. Returns the number of octets of the last part.
int zmq_sendiov(void *socket, struct iovec *iov, size_t count, int flags);

// Receives the parts of a message, each into memory that the program must `free`. Returns the number of parts, and
// stores it in `count`.
int zmq_recviov(void *socket,
                struct iovec *iov,
                size_t *count,
                int flags);

// Waits for events of sockets and file descriptors. Returns the number of items that have some.
int zmq_poll(zmq_pollitem_t *items, int nitems, long timeout);

// Forwards messages between two sockets, and copies to a third unless it is null, until the context ends.
int zmq_proxy(void *frontend,
              void *backend,
              void *capture);

// The same as `zmq_proxy`, controlled by messages to a fourth socket.
int zmq_proxy_steerable(void *frontend, void *backend, void *capture, void *control);

// The same as `zmq_proxy`; the type is ignored.
int zmq_device(int _kind, void *frontend, void *backend);

// Encodes octets as text (Z85, RFC 32) that ends with a NUL. Returns `dest`, or null on failure.
char *zmq_z85_encode(char *dest, const uint8_t *data, size_t size);

// Decodes text (Z85, RFC 32) to octets. Returns `dest`, or null on failure.
uint8_t *zmq_z85_decode(uint8_t *dest, const char *string);

// Makes a pair of CURVE keys, each as 40 characters and a NUL.
int zmq_curve_keypair(char *z85_public_key, char *z85_secret_key);

// Computes the public CURVE key that belongs to a secret key.
int zmq_curve_public(char *z85_public_key, const char *z85_secret_key);

// Makes a counter, which is 0.
void *zmq_atomic_counter_new(void);

// Sets a counter.
void zmq_atomic_counter_set(void *handle, int value);

// Adds 1 to a counter. Returns its former value.
int zmq_atomic_counter_inc(void *handle);

// Subtracts 1 from a counter. Returns 0 if it is 0 then, and 1 otherwise.
int zmq_atomic_counter_dec(void *handle);

// Returns the value of a counter.
int zmq_atomic_counter_value(void *handle);

// Destroys a counter, and sets its handle to null.
void zmq_atomic_counter_destroy(void **counter_p);

// Makes a set of timers.
void *zmq_timers_new(void);

// Destroys a set of timers, and sets its handle to null.
int zmq_timers_destroy(void **timers_p);

// Adds a timer, whose `handler` is called by `zmq_timers_execute` every `interval` milliseconds. Returns its number.
int zmq_timers_add(void *handle,
                   size_t interval,
                   void (*handler)(int timer_id, void *arg),
                   void *arg);

// Removes a timer.
int zmq_timers_cancel(void *handle, int timer_id);

// Changes the interval of a timer. The new interval begins now.
int zmq_timers_set_interval(void *handle, int timer_id, size_t interval);

// Restarts the interval of a timer.
int zmq_timers_reset(void *handle, int timer_id);

// Returns the milliseconds until the next timer is due, or -1 if there is none.
long zmq_timers_timeout(void *handle);

// Calls the handlers of all timers that are due.
int zmq_timers_execute(void *handle);

// Starts a stopwatch.
void *zmq_stopwatch_start(void);

// Returns the microseconds since the stopwatch was started.
unsigned long zmq_stopwatch_intermediate(void *watch);

// Returns the microseconds since the stopwatch was started, and destroys it.
unsigned long zmq_stopwatch_stop(void *watch);

// Sleeps for this number of seconds.
void zmq_sleep(int seconds);

// Runs a function on a thread of its own, which handles no signals, and has as much stack as any other thread of C.
void *zmq_threadstart(void (*func)(void *arg),
                      void *arg);

// Waits for the end of a thread.
void zmq_threadclose(void *thread);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ZMQ_H_INCLUDED */
