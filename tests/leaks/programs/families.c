/* Families that are neither IP nor Unix. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vector.h"

enum { EXPERIMENTAL = 0x88b5 }; /* an EtherType for local experiments */

/* A frame of our own making, on the wire's interface. */
static int packet(const struct aim *aim, int type)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(EXPERIMENTAL), .sll_halen = 6};
	char frame[64] = {[12] = (char)(EXPERIMENTAL >> 8), [13] = (char)(EXPERIMENTAL & 0xff)};
	const size_t head = type == SOCK_RAW ? 14 : 0;
	int fd = (int)told("socket", socket(AF_PACKET, type, htons(EXPERIMENTAL)));

	memset(frame, 0xff, head != 0 ? 6 : 0);
	memset(to.sll_addr, 0xff, 6);
	memcpy(frame + head, aim->mark, strlen(aim->mark));
	to.sll_ifindex = (int)if_nametoindex("wire");
	return sent("sendto", sendto(fd, frame, sizeof(frame), 0, (const struct sockaddr *)&to, sizeof(to)));
}

static int packet_raw(const struct aim *aim)
{
	return packet(aim, SOCK_RAW);
}

static int packet_datagram(const struct aim *aim)
{
	return packet(aim, SOCK_DGRAM);
}

/* To this machine, and not to the host of it, which would be somebody else's. */
static int vsock(const struct aim *aim)
{
	const struct sockaddr_vm to = {.svm_family = AF_VSOCK, .svm_port = aim->port, .svm_cid = VMADDR_CID_LOCAL};
	int fd = (int)told("socket", socket(AF_VSOCK, SOCK_STREAM, 0));

	return sent("connect", connect(fd, (const struct sockaddr *)&to, sizeof(to)));
}

const struct vector family_vectors[] = {
	{"packet-raw", packet_raw},
	{"packet-datagram", packet_datagram},
	{"vsock", vsock},
	{NULL, NULL},
};
