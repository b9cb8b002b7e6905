"""Build the cffi module: the shim's C that Python calls.

Most of it is the very code of the hooks and the launcher, its pure parts; `child`, `kernel` and `pipes` are Python's
alone, and call Linux.

Called by setuptools (``cffi_modules`` in setup.py), from the root of the project.
"""

from pathlib import Path

from cffi import FFI

HERE = Path("shim")
PARTS = (
    *("address", "aside", "child", "descent", "hosts", "kernel", "kind", "landlock", "namespaces", "notify", "nowhere"),
    *("pipes", "program", "record", "rules", "socks", "steer", "text", "thread"),
)
AHEAD = ("call", "control", "dialogue", "go", "notes", "stream_line", "take", "thread")
HEADERS = (*(f"{name}.h" for name in PARTS), "ahead/ahead.h", "ahead/stream_line.h")
CDEF = """
bool exitpin_endpoint_from_sockaddr(const void *address, size_t size, struct exitpin_endpoint *endpoint);
size_t exitpin_endpoint_to_sockaddr(const struct exitpin_endpoint *endpoint, uint16_t family, void *address);
int exitpin_endpoint_scope(const struct exitpin_endpoint *endpoint);
bool exitpin_parse_ipv4(const char *text, size_t size, uint8_t address[4]);
bool exitpin_parse_quad(const char *text, size_t size, uint8_t address[4]);
bool exitpin_parse_ipv6(const char *text, size_t size, uint8_t address[16]);
size_t exitpin_format_address(const struct exitpin_endpoint *endpoint, char *text);

bool exitpin_name_is_valid(const char *name, size_t size);
bool exitpin_hosts_find_name(const char *line, size_t size, const char *name, struct exitpin_endpoint *endpoint);
bool exitpin_hosts_find_address(const char *line, size_t size, const struct exitpin_endpoint *endpoint, char *name);
bool exitpin_services_find_name(const char *line, size_t size, const char *name, const char *protocol, uint16_t *port);
bool exitpin_services_find_port(const char *line, size_t size, uint16_t port, const char *protocol, char *name);

struct exitpin_kind {
    int domain, type, protocol;
};
struct exitpin_config {
    bool is_supervised;
    uint8_t nonce[16];
    struct exitpin_endpoint source;
    char socket_path[108];
};
bool exitpin_config_parse(const char *text, size_t size, struct exitpin_config *config);
bool exitpin_answer_is_valid(const struct exitpin_answer *answer, size_t size, int op);

int exitpin_program_check(int directory, const char *path, int flags);

size_t exitpin_socks_auth(const uint8_t *user, size_t user_size, const uint8_t *password, size_t password_size,
                          uint8_t *out);
size_t exitpin_socks_request(uint8_t command, const char *host, size_t host_size, uint16_t port, uint8_t *out);
int exitpin_socks_reply_size(const uint8_t *prefix, size_t size);

struct exitpin_child *exitpin_child_start(const char *strings, size_t size, size_t arguments, size_t variables,
                                          const int *fds, size_t fds_count);
int exitpin_child_pid(const struct exitpin_child *child);
int exitpin_child_error(const struct exitpin_child *child);
void exitpin_child_free(struct exitpin_child *child);

int exitpin_setns(int fd, int flags);
int exitpin_unshare(int flags);
int exitpin_mount(const char *source, const char *target, const char *kind, unsigned long flags, const char *options);
int exitpin_set_death_signal(int signo);
int exitpin_set_child_subreaper(void);
int exitpin_open_path(int directory, const char *path, uint64_t resolve);
int exitpin_disconnect(int fd);
int exitpin_landlock_abi(void);
int exitpin_try_guard(void);
int exitpin_try_supervisor(void);
bool exitpin_has_namespaces(void);
struct exitpin_pipe {
    int fd;
    uint32_t major, minor, links;
    uint64_t inode;
};
int exitpin_named_pipes(const char *folder, struct exitpin_pipe *found, int max);

int exitpin_call_error(int number, const uint64_t arguments[6], int what, const char **defence);
int exitpin_kind_reason(const struct exitpin_kind *kind);
struct exitpin_call {
    uint64_t id;
    uint32_t tid;
    int32_t number;
    uint64_t arguments[6];
};
bool exitpin_call_is_alive(int listener, uint64_t id);
int exitpin_call_answer(int listener, uint64_t id, int error);
int exitpin_call_give(int listener, uint64_t id, int ours, bool is_cloexec);
int exitpin_connect_at_once(int fd, const void *address, size_t size);
struct exitpin_aside *exitpin_aside_start(int fd, int handle, const void *name, size_t size, int done);
void exitpin_aside_break_off(struct exitpin_aside *aside);
int exitpin_aside_end(struct exitpin_aside *aside);
#define EXITPIN_NOWHERE_BATCH ...
#define EXITPIN_NOWHERE_FDS ...
int exitpin_nowhere_make(int *fds);
int exitpin_nowhere_more(int user_namespace, int network_namespace, int family, int *fds);
long exitpin_report_connect(int fd, const void *address, size_t size, const struct exitpin_endpoint *run_address,
                            struct exitpin_report *report, int *reason);

bool exitpin_descends(int pid, int root);
"""
AHEAD_CDEF = """
bool exitpin_stream_line_parse(const char *text, size_t size, struct stream_line *line);

struct exitpin_ahead *exitpin_ahead_start(int control, const struct exitpin_endpoint *tor, int noted);
void exitpin_ahead_stop(struct exitpin_ahead *ahead);
int exitpin_door_wait(const struct exitpin_door *door, int listener, int wake, int what, bool may_listen,
                      struct exitpin_taken *taken);
void exitpin_door_open(struct exitpin_door *door, struct exitpin_ahead *ahead, int64_t ticket);
void exitpin_door_shut(struct exitpin_door *door);
void exitpin_door_leave(struct exitpin_door *door);
int64_t exitpin_ahead_issue(struct exitpin_ahead *ahead, const struct exitpin_ahead_ticket *ticket);
bool exitpin_ahead_recall(struct exitpin_ahead *ahead, int64_t ticket);
bool exitpin_ahead_next(struct exitpin_ahead *ahead, struct exitpin_ahead_note *note);
double exitpin_ahead_waits_s(struct exitpin_ahead *ahead);
bool exitpin_ahead_is_hushed(struct exitpin_ahead *ahead);
int exitpin_ahead_end(struct exitpin_ahead *ahead, uint64_t flight);
bool exitpin_ahead_is_answered(struct exitpin_ahead *ahead, uint64_t flight);
"""


def marked(header: str) -> str:
    """What stands between the cdef marks of a header."""
    text = (HERE / header).read_text(encoding="utf-8")
    return text.partition("/* cdef: begin */")[2].partition("/* cdef: end */")[0]


ffibuilder = FFI()
ffibuilder.cdef(marked("wire.h") + CDEF + marked("ahead/stream_line.h") + marked("ahead/ahead.h") + AHEAD_CDEF)
ffibuilder.set_source(
    "exitpin.shim._bindings",
    "\n".join(f'#include "{name}"' for name in HEADERS) + "\n",
    sources=[str(HERE / f"{name}.c") for name in (*PARTS, *(f"ahead/{name}" for name in AHEAD))],
    depends=[str(HERE / name) for name in (*HEADERS, "ahead/table.h", "sys.h", "wire.h")],
    include_dirs=[str(HERE)],
    define_macros=[("_GNU_SOURCE", None)],
    extra_compile_args=["-std=gnu11", "-Wall", "-fvisibility=hidden", "-pthread"],
    extra_link_args=["-pthread"],
    py_limited_api=True,
)
