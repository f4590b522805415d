/* What keeping memory over a kexec needs from C: /dev/liveupdate, files in memory, and a process that holds a session.
 * The numbers are those of Linux's include/uapi/linux/liveupdate.h, which is in no header before 7.0. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* On an open /dev/liveupdate: a new session of this name, and one that the former kernel has handed over. Names have 1 to
 * 63 bytes. The session's descriptor (O_CLOEXEC), or -1 and errno. */
int pv_session_create(int device, const char *name);
int pv_session_retrieve(int device, const char *name);

/* On a session: keeps an open file under a token; gives it back in the next kernel; ends a session that was retrieved. */
int pv_preserve(int session, int number, uint64_t token);
int pv_retrieve(int session, uint64_t token);
int pv_finish(int session);

/* A file in memory that can be sealed, without a name in any directory. */
int pv_memory_file(const char *name);
/* F_SEAL_GROW, F_SEAL_SHRINK; against writers F_SEAL_FUTURE_WRITE, too: mappings that exist go on writing, and nobody
   else does. */
int pv_seal_memory_file(int number, int against_writers);

/* One byte of a stream with a descriptor; and what came so: the descriptor, -1 at the end of the stream or with errno. */
int pv_send_descriptor(int socket, int number);
int pv_receive_descriptor(int socket);
int pv_socket_pair(int ends[2]);

/* A copy of a descriptor that another process has open (pidfd_getfd(2), Linux 5.6). */
int pv_other_descriptor(int process, int number);

/* One datagram with a descriptor to a UNIX socket: a path, or an abstract name with '@' for its NUL. */
int pv_notify(const char *address, size_t length, const char *text, size_t count, int number);

/* For a forked process that is to outlive its parent: a session of its own, `/` as its directory, /dev/null for the three
 * standard descriptors, no others but `first` and `second`, and `@` as the first byte of its name, by which systemd before
 * 255 tells who is not to be killed. */
int pv_detach(int first, int second);
_Noreturn void pv_wait_for_ever(void);
