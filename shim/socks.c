#include <string.h>

#include "socks.h"
#include "text.h"

size_t exitpin_socks_auth(const uint8_t *user, size_t user_size, const uint8_t *password, size_t password_size,
			  uint8_t *out)
{
	if (user_size == 0 || user_size > 255 || password_size == 0 || password_size > 255)
		return 0;
	out[0] = 1;
	out[1] = (uint8_t)user_size;
	memcpy(out + 2, user, user_size);
	out[2 + user_size] = (uint8_t)password_size;
	memcpy(out + 3 + user_size, password, password_size);
	return 3 + user_size + password_size;
}

size_t exitpin_socks_request(uint8_t command, const char *host, size_t host_size, uint16_t port, uint8_t *out)
{
	size_t size = 4;

	if (host_size == 0 || host_size > 255)
		return 0;
	out[0] = 5;
	out[1] = command;
	out[2] = 0;
	if (exitpin_parse_quad(host, host_size, out + 4)) {
		out[3] = 1;
		size += 4;
	} else if (exitpin_parse_ipv6(host, host_size, out + 4)) {
		out[3] = 4;
		size += 16;
	} else {
		out[3] = 3;
		out[4] = (uint8_t)host_size;
		memcpy(out + 5, host, host_size);
		size += 1 + host_size;
	}
	out[size] = (uint8_t)(port >> 8);
	out[size + 1] = (uint8_t)port;
	return size + 2;
}

int exitpin_socks_reply_size(const uint8_t *prefix, size_t size)
{
	if ((size > 0 && prefix[0] != 5) || (size > 2 && prefix[2] != 0))
		return -1;
	if (size < 4)
		return 0;
	if (prefix[3] == 1)
		return 10;
	if (prefix[3] == 4)
		return 22;
	if (prefix[3] != 3)
		return -1;
	return size < 5 ? 0 : 7 + prefix[4];
}
