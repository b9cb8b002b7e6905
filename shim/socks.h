/* SOCKS5 as Tor speaks it (RFC 1928, RFC 1929, tor's socks-extensions): records written and read. Pure. */
#ifndef EXITPIN_SOCKS_H
#define EXITPIN_SOCKS_H

#include <stddef.h>
#include <stdint.h>

enum { EXITPIN_SOCKS_AUTH_MAX = 513, EXITPIN_SOCKS_REQUEST_MAX = 262 };

/* RFC 1929. Returns the size; 0: a part is empty or longer than 255 bytes. */
size_t exitpin_socks_auth(const uint8_t *user, size_t user_size, const uint8_t *password, size_t password_size,
			  uint8_t *out);

/* command with a host: text that is an IP literal goes as ATYP 1 or 4, anything else as a name, ATYP 3. Returns the
 * size; 0: the host is empty or longer than 255 bytes. */
size_t exitpin_socks_request(uint8_t command, const char *host, size_t host_size, uint16_t port, uint8_t *out);

/* The whole size of the reply that begins so; 0: more bytes are needed to tell; -1: not a SOCKS5 reply. */
int exitpin_socks_reply_size(const uint8_t *prefix, size_t size);

#endif
