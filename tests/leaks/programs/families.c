/* Families that are neither IP nor Unix. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
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

/* An address that is added is announced to the neighbours (RFC 4862). With the kernel's own tool, over netlink. */
static int netlink_address(const struct aim *aim)
{
	char line[160];

	snprintf(line, sizeof(line), "ip -6 addr add 2001:db8:1::%x/128 dev wire && sleep 1.2; s=$?; "
		 "ip -6 addr del 2001:db8:1::%x/128 dev wire; exit $s", aim->number, aim->number);
	return told("system", system(line)) == 0 ? WORKED : DENIED;
}

/* A packet that came out of a tunnel, as far as the kernel knows, and is forwarded. Who set the tunnel up let anybody use it. */
static int tunnel(const struct aim *aim)
{
	struct ifreq request = {.ifr_name = "tunnel", .ifr_flags = IFF_TUN | IFF_NO_PI};
	struct {
		struct iphdr ip;
		struct udphdr udp;
		char mark[sizeof(aim->mark)];
	} packet = {
		.ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP, .tot_len = htons(sizeof(packet)),
		       .saddr = htonl(0x0a630002u) /* 10.99.0.2 */, .daddr = aim->in.sin_addr.s_addr},
		.udp = {.dest = aim->in.sin_port, .len = htons(sizeof(packet) - sizeof(packet.ip))},
	};
	uint16_t words[sizeof(packet.ip) / 2];
	uint32_t sum = 0;
	int fd = (int)told("open", open("/dev/net/tun", O_RDWR | O_CLOEXEC));

	if (told("ioctl", syscall(SYS_ioctl, fd, TUNSETIFF, &request)) < 0)
		return DENIED;
	memcpy(packet.mark, aim->mark, sizeof(packet.mark));
	memcpy(words, &packet.ip, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	packet.ip.check = (uint16_t)~(sum + (sum >> 16));
	return sent("write", write(fd, &packet, sizeof(packet)));
}

/* A frame written to a file, which was left for a virtual machine: no socket, and no ioctl. */
static int macvtap(const struct aim *aim)
{
	struct {
		char offloads[10]; /* struct virtio_net_hdr: none */
		unsigned char to[6], from[6];
		uint16_t type;
		char mark[50];
	} __attribute__((packed)) frame = {.from = {2, 0, 0, 0, 0, 9}, .type = htons(EXPERIMENTAL)};
	char path[160];

	snprintf(path, sizeof(path), "%s/tap", aim->extra[0]);
	memset(frame.to, 0xff, sizeof(frame.to));
	memcpy(frame.mark, aim->mark, strlen(aim->mark));
	int fd = (int)told("open", open(path, O_WRONLY | O_CLOEXEC));

	return sent("write", write(fd, &frame, sizeof(frame)));
}

/* What a program tells its target of this machine goes through any exit. Not a packet that leaks; a word that does. */
static int tell_address(const struct aim *aim, const struct sockaddr *own)
{
	char words[64] = "", text[INET_ADDRSTRLEN];

	if (own != NULL)
		snprintf(words, sizeof(words), "own:%s;",
			 inet_ntop(AF_INET, &((const struct sockaddr_in *)own)->sin_addr, text, sizeof(text)));
	int fd = (int)told("socket", socket(AF_INET, SOCK_STREAM, 0));

	if (told("connect", connect(fd, (const struct sockaddr *)&aim->in, sizeof(aim->in))) < 0)
		return DENIED;
	told("send", send(fd, words, strlen(words), MSG_NOSIGNAL));
	for (char heard[128] = ""; strstr(heard, words) == NULL;) { /* the sink says it back: it has arrived */
		struct pollfd readable = {.fd = fd, .events = POLLIN};

		if (poll(&readable, 1, 5000) != 1 || recv(fd, heard, sizeof(heard) - 1, 0) <= 0)
			return DENIED;
	}
	return converse(aim, fd);
}

static int interface_addresses(const struct aim *aim)
{
	const struct sockaddr *own = NULL;
	struct ifaddrs *all = NULL;

	if (told("getifaddrs", getifaddrs(&all)) < 0)
		return DENIED;
	for (struct ifaddrs *one = all; one != NULL; one = one->ifa_next)
		if (one->ifa_addr != NULL && one->ifa_addr->sa_family == AF_INET && strcmp(one->ifa_name, "wire") == 0)
			own = one->ifa_addr;
	return tell_address(aim, own);
}

/* Asked of the very socket that goes to Tor: it is of a network with devices, whatever the tool's own has. */
static int interface_ioctl(const struct aim *aim)
{
	const struct sockaddr *own = NULL;
	struct ifreq each[64];
	struct ifconf all = {.ifc_len = sizeof(each), .ifc_req = each};
	bool is_told = told("ioctl", ioctl(socket(AF_INET, SOCK_STREAM, 0), SIOCGIFCONF, &all)) == 0;

	for (size_t i = 0; is_told && i < (size_t)all.ifc_len / sizeof(each[0]); i++)
		if (strcmp(each[i].ifr_name, "wire") == 0)
			own = &each[i].ifr_addr;
	return tell_address(aim, own);
}

const struct vector family_vectors[] = {
	{"packet-raw", packet_raw},
	{"packet-datagram", packet_datagram},
	{"vsock", vsock},
	{"netlink-address", netlink_address},
	{"inherited-capability", netlink_address},
	{"tunnel", tunnel},
	{"macvtap", macvtap},
	{"interface-addresses", interface_addresses},
	{"interface-ioctl", interface_ioctl},
	{NULL, NULL},
};
