/* What every vector is given, and how it tells what came of each call. */
#ifndef EXITPIN_LEAKS_VECTOR_H
#define EXITPIN_LEAKS_VECTOR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where this vector has to go, and nobody else: number is the last byte of the address, whatever the family. */
struct aim {
	unsigned number;
	uint16_t port;
	struct sockaddr_in in;	 /* 198.51.100.NUMBER */
	struct sockaddr_in6 in6; /* 2001:db8:1::NUMBER */
	char mark[24];		 /* leak:NUMBER; the payload of what has no address of its own */
	char name[40];		 /* 198-51-100-NUMBER.ip.test */
	char *address_word, *port_word;
	char **extra;	       /* words after the port, NULL at the end */
	const char *directory; /* where our programs are */
};

/* A vector: WORKED when it got where it wanted, DENIED when a call said no. */
enum { WORKED = 0, DENIED = 1, MISUSED = 100 };

struct vector {
	const char *name;
	int (*run)(const struct aim *aim);
};

/* One table a theme, with an empty name at the end. */
extern const struct vector stream_vectors[], descriptor_vectors[], concurrency_vectors[],
	datagram_vectors[], syscall_vectors[], name_socket_vectors[], uring_vectors[], exec_vectors[],
	binary_vectors[], name_vectors[],
	resolver_vectors[], inherited_vectors[], unix_vectors[], handed_vectors[], intruder_vectors[], family_vectors[],
	loader_vectors[], race_vectors[];

/* Prints `CALL = RESULT` or `CALL = -1 ERRNO`, and returns the result; errno stays. */
long told(const char *call, long result);
void say(const char *text);

/* The same for a raw system call, which returns minus an errno. */
long told_raw(const char *call, long result);

/* What a server of errands.py is to be told. */
const char *errand(const struct aim *aim);

/* Sends the mark over a connected stream and reads the line with which the sink greets. Closes it. */
int converse(const struct aim *aim, int fd);
/* A stream through connect(2), to the aim's address. */
int go(const struct aim *aim);
/* As go, on a socket that is there already. */
int connect_and_converse(const struct aim *aim, int fd);
/* WORKED if a datagram, or anything of which no answer comes, was taken. */
int sent(const char *call, long result);
/* Waits for a child; what it returned, DENIED if it crashed. */
int await(int pid);
/* PROGRAM as a path in our directory; false if it was not built. */
bool program(const struct aim *aim, const char *name, char path[256]);

#endif
