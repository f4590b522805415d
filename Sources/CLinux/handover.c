/* /dev/liveupdate and what goes with it. */
#include "clinux.h"
#include "handover.h"
#include <sys/socket.h>
#include <sys/un.h>

#define CREATE_SESSION 0xBA00u
#define RETRIEVE_SESSION 0xBA01u
#define PRESERVE_FD 0xBA40u
#define RETRIEVE_FD 0xBA41u
#define FINISH 0xBA42u

/* Each begins with its own size. */
struct named_session {
    uint32_t size;
    int32_t number;
    char name[64];
};
struct kept_file {
    uint32_t size;
    int32_t number;
    uint64_t token;
};
struct finished {
    uint32_t size;
    uint32_t reserved;
};
_Static_assert(sizeof(struct named_session) == 72 && sizeof(struct kept_file) == 16 && sizeof(struct finished) == 8,
               "the kernel's sizes");

static int named(int device, unsigned request, const char *name) {
    struct named_session call = {.size = sizeof call, .number = -1};
    size_t length = strlen(name);
    if (length == 0 || length >= sizeof call.name) {
        errno = EINVAL;
        return -1;
    }
    memcpy(call.name, name, length);
    return ioctl(device, request, &call) < 0 ? -1 : call.number;
}

int pv_session_create(int device, const char *name) { return named(device, CREATE_SESSION, name); }
int pv_session_retrieve(int device, const char *name) { return named(device, RETRIEVE_SESSION, name); }

int pv_preserve(int session, int number, uint64_t token) {
    struct kept_file call = {.size = sizeof call, .number = number, .token = token};
    return ioctl(session, PRESERVE_FD, &call) < 0 ? -1 : 0;
}

int pv_retrieve(int session, uint64_t token) {
    struct kept_file call = {.size = sizeof call, .number = -1, .token = token};
    return ioctl(session, RETRIEVE_FD, &call) < 0 ? -1 : call.number;
}

int pv_finish(int session) {
    struct finished call = {.size = sizeof call};
    return ioctl(session, FINISH, &call) < 0 ? -1 : 0;
}

int pv_memory_file(const char *name) { return (int)syscall(SYS_memfd_create, name, 3u /* CLOEXEC, ALLOW_SEALING */); }

int pv_seal_memory_file(int number, int against_writers) {
    return fcntl(number, 1033 /* F_ADD_SEALS */, 0x0002 | 0x0004 | (against_writers ? 0x0010 : 0));
}

int pv_other_descriptor(int process, int number) {
    int other = (int)syscall(434 /* pidfd_open */, process, 0);
    if (other < 0) return -1;
    int copy = (int)syscall(438 /* pidfd_getfd */, other, number, 0);
    int code = errno;
    close(other);
    errno = code;
    return copy;
}

int pv_socket_pair(int ends[2]) { return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends); }

static int send_with(int socket, const struct sockaddr_un *address, socklen_t length, const void *text, size_t count,
                     int number) {
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr header;
    } control = {{0}};
    struct iovec part = {.iov_base = (void *)text, .iov_len = count};
    struct msghdr message = {.msg_name = (void *)address, .msg_namelen = length, .msg_iov = &part, .msg_iovlen = 1};
    if (number >= 0) {
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.header), &number, sizeof number);
        message.msg_control = &control;
        message.msg_controllen = sizeof control.room;
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

int pv_send_descriptor(int socket, int number) { return send_with(socket, NULL, 0, "", 1, number); }

int pv_receive_descriptor(int socket) {
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr header;
    } control = {{0}};
    char byte;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room};
    ssize_t count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    int number = -1;
    if (count < 0)
        return -1;
    if (count == 0) {
        errno = EPIPE;
        return -1;
    }
    if (message.msg_controllen >= CMSG_LEN(sizeof number) && control.header.cmsg_type == SCM_RIGHTS)
        memcpy(&number, CMSG_DATA(&control.header), sizeof number);
    if (number < 0)
        errno = ENODATA;
    return number;
}

int pv_notify(const char *address, size_t length, const char *text, size_t count, int number) {
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    if (length == 0 || length >= sizeof place.sun_path) {
        errno = EINVAL;
        return -1;
    }
    memcpy(place.sun_path, address, length);
    if (place.sun_path[0] == '@')
        place.sun_path[0] = 0;
    int end = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (end < 0)
        return -1;
    int done = send_with(end, &place, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length), text, count, number);
    int code = errno;
    close(end);
    errno = code;
    return done;
}

extern char *program_invocation_name;

int pv_detach(int first, int second) {
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int number = 0; number < 3; number++) {
        if (nowhere >= 0)
            dup2(nowhere, number);
        else
            close(number);
    }
    long limit = sysconf(_SC_OPEN_MAX);
    for (int number = 3; number < (limit > 0 && limit < 65536 ? limit : 65536); number++)
        if (number != first && number != second)
            close(number);
    if (program_invocation_name && program_invocation_name[0])
        program_invocation_name[0] = '@';
    int inside = chdir("/");
    (void)inside;
    return setsid() < 0 ? -1 : 0;
}

_Noreturn void pv_wait_for_ever(void) {
    signal(SIGHUP, SIG_IGN);
    for (;;)
        pause();
}
