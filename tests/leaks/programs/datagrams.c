/* Datagrams, and what is sent without a connection: UDP in its calls, ICMP, raw IP, multicast, broadcast. */
#define _GNU_SOURCE
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vector.h"

static int datagram(void)
{
	return (int)told("socket", socket(AF_INET, SOCK_DGRAM, 0));
}

static int send_to(const struct aim *aim, int fd, const void *data, size_t size)
{
	return sent("sendto", sendto(fd, data, size, 0, (const struct sockaddr *)&aim->in, sizeof(aim->in)));
}

static int udp(const struct aim *aim)
{
	return send_to(aim, datagram(), aim->mark, strlen(aim->mark));
}

static int udp_connect(const struct aim *aim)
{
	int fd = datagram();

	if (told("connect", connect(fd, (const struct sockaddr *)&aim->in, sizeof(aim->in))) < 0)
		return DENIED;
	return sent("send", send(fd, aim->mark, strlen(aim->mark), 0));
}

static int udp_write(const struct aim *aim)
{
	int fd = datagram();

	if (told("connect", connect(fd, (const struct sockaddr *)&aim->in, sizeof(aim->in))) < 0)
		return DENIED;
	return sent("write", write(fd, aim->mark, strlen(aim->mark)));
}

static int udp_sendmsg(const struct aim *aim)
{
	struct iovec data = {(void *)aim->mark, strlen(aim->mark)};
	const struct msghdr message = {
		.msg_name = (void *)&aim->in, .msg_namelen = sizeof(aim->in), .msg_iov = &data, .msg_iovlen = 1};

	return sent("sendmsg", sendmsg(datagram(), &message, 0));
}

static int udp_sendmmsg(const struct aim *aim)
{
	struct iovec data = {(void *)aim->mark, strlen(aim->mark)};
	struct mmsghdr one = {
		.msg_hdr = {.msg_name = (void *)&aim->in, .msg_namelen = sizeof(aim->in), .msg_iov = &data, .msg_iovlen = 1}};

	return sent("sendmmsg", sendmmsg(datagram(), &one, 1, 0));
}

static int udp_unspec(const struct aim *aim)
{
	struct sockaddr_in unnamed = aim->in;

	unnamed.sin_family = AF_UNSPEC; /* the kernel takes it for AF_INET */
	return sent("sendto", sendto(datagram(), aim->mark, strlen(aim->mark), 0, (const struct sockaddr *)&unnamed,
				     sizeof(unnamed)));
}

static int udp6(const struct aim *aim)
{
	int fd = (int)told("socket", socket(AF_INET6, SOCK_DGRAM, 0));

	return sent("sendto", sendto(fd, aim->mark, strlen(aim->mark), 0, (const struct sockaddr *)&aim->in6,
				     sizeof(aim->in6)));
}

static int udplite(const struct aim *aim)
{
	int fd = (int)told("socket", socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE));

	return send_to(aim, fd, aim->mark, strlen(aim->mark));
}

static int ping(const struct aim *aim)
{
	struct {
		struct icmphdr header;
		char mark[24];
	} packet = {.header = {.type = ICMP_ECHO}};
	int fd = (int)told("socket", socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));

	memcpy(packet.mark, aim->mark, sizeof(packet.mark));
	return send_to(aim, fd, &packet, sizeof(packet));
}

static int rawip(const struct aim *aim)
{
	int fd = (int)told("socket", socket(AF_INET, SOCK_RAW, 253 /* for experiments, RFC 3692 */));

	return send_to(aim, fd, aim->mark, strlen(aim->mark));
}

/* 239.77.PORT.NUMBER, of the port its last byte: a group of this vector's own. */
static uint32_t group_of(const struct aim *aim)
{
	return 0xef4d0000u | (uint32_t)(uint8_t)aim->port << 8 | aim->number;
}

/* Joining a group is told to the network by IGMP. */
static int multicast_join(const struct aim *aim)
{
	struct ip_mreq request = {.imr_multiaddr.s_addr = htonl(group_of(aim))};
	int fd = datagram();
	int result = sent("setsockopt", setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request)));

	if (result == WORKED)
		usleep(700000); /* the report is sent a moment later */
	return result;
}

static int multicast_join6(const struct aim *aim)
{
	struct ipv6_mreq request = {
		.ipv6mr_multiaddr.s6_addr = {0xff, 0x05, [13] = 0x4d, [14] = (uint8_t)aim->port, [15] = (uint8_t)aim->number}};
	int fd = (int)told("socket", socket(AF_INET6, SOCK_DGRAM, 0));
	int result = sent("setsockopt", setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &request, sizeof(request)));

	if (result == WORKED)
		usleep(700000);
	return result;
}

/* A stream's socket may join a group, too, by the calls that name the family. */
static int stream_joins(const struct aim *aim, int family, int level, int option)
{
	struct group_source_req one = {0};
	struct sockaddr_in *group = (struct sockaddr_in *)&one.gsr_group, *source = (struct sockaddr_in *)&one.gsr_source;
	struct sockaddr_in6 *group6 = (struct sockaddr_in6 *)&one.gsr_group;
	struct group_req any = {0};
	int fd = (int)told("socket", socket(family, SOCK_STREAM, 0));

	if (level == IPPROTO_IP)
		*group = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(group_of(aim))};
	else
		*group6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr.s6_addr = {0xff, 0x05,
			[13] = 0x4d, [14] = (uint8_t)aim->port, [15] = (uint8_t)aim->number}};
	*source = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = aim->in.sin_addr};
	any.gr_group = one.gsr_group;
	int result = sent("setsockopt", option == MCAST_JOIN_GROUP
					       ? syscall(SYS_setsockopt, fd, level, option, &any, sizeof(any))
					       : syscall(SYS_setsockopt, fd, level, option, &one, sizeof(one)));

	if (result == WORKED)
		usleep(700000);
	return result;
}

static int stream_join(const struct aim *aim)
{
	return stream_joins(aim, AF_INET, IPPROTO_IP, MCAST_JOIN_GROUP);
}

static int stream_join_source(const struct aim *aim)
{
	return stream_joins(aim, AF_INET, IPPROTO_IP, MCAST_JOIN_SOURCE_GROUP);
}

static int stream_join6(const struct aim *aim)
{
	return stream_joins(aim, AF_INET6, IPPROTO_IPV6, MCAST_JOIN_GROUP);
}

static int stream_join_mixed(const struct aim *aim)
{
	return stream_joins(aim, AF_INET6, IPPROTO_IP, MCAST_JOIN_GROUP);
}

/* By way of the target's network, as an option in the header of each packet says. */
static int stream_route(const struct aim *aim)
{
	const uint8_t *to = (const uint8_t *)&aim->in.sin_addr;
	const uint8_t route[] = {131 /* loose */, 7, 4, to[0], to[1], to[2], to[3], 0};
	const struct sockaddr_in any = {.sin_family = AF_INET};
	int fd = (int)told("socket", socket(AF_INET, SOCK_STREAM, 0));

	told("bind", bind(fd, (const struct sockaddr *)&any, sizeof(any)));
	if (told("setsockopt", syscall(SYS_setsockopt, fd, IPPROTO_IP, IP_OPTIONS, route, sizeof(route))) < 0)
		return DENIED;
	return connect_and_converse(aim, fd);
}

static int ping6(const struct aim *aim)
{
	struct {
		uint8_t type, code;
		uint16_t checksum, id, sequence;
		char mark[24];
	} packet = {.type = 128 /* echo request */};
	int fd = (int)told("socket", socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6));

	memcpy(packet.mark, aim->mark, sizeof(packet.mark));
	return sent("sendto", sendto(fd, &packet, sizeof(packet), 0, (const struct sockaddr *)&aim->in6, sizeof(aim->in6)));
}

/* UDP that corks: the datagram leaves with the option, and not with a call that sends. */
static int udp_cork(const struct aim *aim)
{
	const int on = 1, off = 0;
	int fd = datagram();

	setsockopt(fd, IPPROTO_UDP, 1 /* UDP_CORK */, &on, sizeof(on));
	if (send_to(aim, fd, aim->mark, strlen(aim->mark)) != WORKED)
		return DENIED;
	return sent("setsockopt", setsockopt(fd, IPPROTO_UDP, 1, &off, sizeof(off)));
}

static int multicast_send(const struct aim *aim)
{
	struct aim group = *aim;

	group.in.sin_addr.s_addr = htonl(group_of(aim));
	return send_to(&group, datagram(), aim->mark, strlen(aim->mark));
}

static int broadcast(const struct aim *aim)
{
	struct aim all = *aim;
	const int on = 1;
	int fd = datagram();

	all.in.sin_addr.s_addr = htonl(0x64400003u); /* 100.64.0.3, that of the wire */
	setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
	return send_to(&all, fd, aim->mark, strlen(aim->mark));
}

const struct vector datagram_vectors[] = {
	{"udp", udp},
	{"udp-connect", udp_connect},
	{"udp-write", udp_write},
	{"udp-sendmsg", udp_sendmsg},
	{"udp-sendmmsg", udp_sendmmsg},
	{"udp-unspec", udp_unspec},
	{"udp6", udp6},
	{"udplite", udplite},
	{"udp-cork", udp_cork},
	{"ping", ping},
	{"ping6", ping6},
	{"rawip", rawip},
	{"multicast-join", multicast_join},
	{"multicast-join6", multicast_join6},
	{"multicast-send", multicast_send},
	{"stream-join", stream_join},
	{"stream-join-source", stream_join_source},
	{"stream-join6", stream_join6},
	{"stream-join-mixed", stream_join_mixed},
	{"stream-route", stream_route},
	{"broadcast", broadcast},
	{NULL, NULL},
};
