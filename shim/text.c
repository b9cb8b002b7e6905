#include <string.h>
#include <sys/socket.h>

#include "text.h"

bool exitpin_parse_decimal(const char *text, size_t size, uint32_t limit, uint32_t *value)
{
	uint64_t total = 0;

	if (size == 0)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		total = total * 10 + (uint64_t)(text[i] - '0');
		if (total > limit)
			return false;
	}
	*value = (uint32_t)total;
	return true;
}

static int digit_value(char character)
{
	if (character >= '0' && character <= '9')
		return character - '0';
	if (character >= 'a' && character <= 'f')
		return character - 'a' + 10;
	if (character >= 'A' && character <= 'F')
		return character - 'A' + 10;
	return 99;
}

static bool parse_part(const char *text, size_t size, uint64_t limit, uint64_t *value)
{
	int base = 10;

	if (size > 1 && text[0] == '0') {
		base = (text[1] == 'x' || text[1] == 'X') ? 16 : 8;
		text += base == 16 ? 2 : 1;
		size -= base == 16 ? 2 : 1;
	}
	if (size == 0)
		return false;
	*value = 0;
	for (size_t i = 0; i < size; i++) {
		int digit = digit_value(text[i]);

		if (digit >= base)
			return false;
		*value = *value * (uint64_t)base + (uint64_t)digit;
		if (*value > limit)
			return false;
	}
	return true;
}

bool exitpin_parse_ipv4(const char *text, size_t size, uint8_t address[4])
{
	uint64_t total = 0, part;
	size_t start = 0;

	for (int count = 0; count < 4; count++) {
		size_t end = start;

		while (end < size && text[end] != '.')
			end++;
		bool is_last = end == size;
		uint64_t limit = is_last ? 0xffffffffu >> (8 * count) : 255;

		if (!parse_part(text + start, end - start, limit, &part))
			return false;
		total |= is_last ? part : part << (24 - 8 * count);
		if (is_last) {
			for (int i = 0; i < 4; i++)
				address[i] = (uint8_t)(total >> (24 - 8 * i));
			return true;
		}
		start = end + 1;
	}
	return false;
}

bool exitpin_parse_quad(const char *text, size_t size, uint8_t address[4])
{
	size_t start = 0;

	for (int count = 0; count < 4; count++) {
		size_t end = start;
		uint32_t part;

		while (end < size && text[end] != '.')
			end++;
		if ((end == size) != (count == 3) || end - start > 3 || (end - start > 1 && text[start] == '0'))
			return false;
		if (!exitpin_parse_decimal(text + start, end - start, 255, &part))
			return false;
		address[count] = (uint8_t)part;
		start = end + 1;
	}
	return true;
}

struct groups {
	uint8_t bytes[16];
	size_t filled;
	size_t gap; /* where `::` stood; NO_GAP: nowhere */
};

enum { NO_GAP = 17 };

/* One group of up to four digits, or an IPv4 tail. Returns how much was read; 0: neither. */
static size_t read_group(const char *text, size_t size, struct groups *groups)
{
	uint32_t group = 0;
	size_t end = 0;

	while (end < size && end < 5 && digit_value(text[end]) < 16)
		group = group << 4 | (uint32_t)digit_value(text[end++]);
	if (end < size && text[end] == '.') {
		if (groups->filled > 12 || !exitpin_parse_quad(text, size, groups->bytes + groups->filled))
			return 0;
		groups->filled += 4;
		return size;
	}
	if (end > 4 || groups->filled > 14)
		return 0;
	groups->bytes[groups->filled++] = (uint8_t)(group >> 8);
	groups->bytes[groups->filled++] = (uint8_t)group;
	return end;
}

/* The groups before the gap, zeros, the groups after it. */
static void spread(const struct groups *groups, uint8_t address[16])
{
	size_t before = groups->gap == NO_GAP ? groups->filled : groups->gap, after = groups->filled - before;

	memset(address, 0, 16);
	memcpy(address, groups->bytes, before);
	memcpy(address + 16 - after, groups->bytes + before, after);
}

bool exitpin_parse_ipv6(const char *text, size_t size, uint8_t address[16])
{
	struct groups groups = {.gap = NO_GAP};
	size_t i = 0;

	if (size >= 2 && text[0] == ':' && text[1] == ':')
		groups.gap = 0, i = 2;
	while (i < size) {
		size_t length = read_group(text + i, size - i, &groups);

		i += length;
		if (length == 0 || (i < size && (text[i] != ':' || i + 1 == size)))
			return false;
		if (i < size && text[++i] == ':') {
			if (groups.gap != NO_GAP)
				return false;
			groups.gap = groups.filled;
			i++;
		}
	}
	if (groups.gap == NO_GAP ? groups.filled != 16 : groups.filled > 14)
		return false;
	spread(&groups, address);
	return true;
}

bool exitpin_parse_address(const char *text, size_t size, struct exitpin_endpoint *endpoint)
{
	memset(endpoint, 0, sizeof(*endpoint));
	if (exitpin_parse_ipv4(text, size, endpoint->address)) {
		endpoint->family = AF_INET;
		return true;
	}
	if (exitpin_parse_ipv6(text, size, endpoint->address)) {
		endpoint->family = AF_INET6;
		return true;
	}
	memset(endpoint, 0, sizeof(*endpoint));
	return false;
}

size_t exitpin_format_decimal(uint32_t value, char text[11])
{
	char digits[10];
	size_t count = 0;

	do
		digits[count++] = (char)('0' + value % 10);
	while ((value /= 10) != 0);
	for (size_t i = 0; i < count; i++)
		text[i] = digits[count - 1 - i];
	text[count] = '\0';
	return count;
}

static size_t format_quad(const uint8_t address[4], char *text)
{
	size_t length = 0;

	for (int i = 0; i < 4; i++) {
		char part[11];
		size_t size = exitpin_format_decimal(address[i], part);

		if (i > 0)
			text[length++] = '.';
		memcpy(text + length, part, size + 1);
		length += size;
	}
	return length;
}

static size_t format_group(unsigned group, char *text)
{
	size_t length = 0;

	for (int shift = 12; shift >= 0; shift -= 4)
		if (length > 0 || shift == 0 || group >> shift != 0)
			text[length++] = "0123456789abcdef"[group >> shift & 15];
	return length;
}

struct run {
	int start, count;
};

/* The longest run of at least two zero groups, the first of equals; start -1: none. */
static struct run longest_zeros(const uint8_t address[16])
{
	struct run best = {-1, 1};

	for (int i = 0; i < 8; i++) {
		int count = 0;

		while (i + count < 8 && address[2 * (i + count)] == 0 && address[2 * (i + count) + 1] == 0)
			count++;
		if (count > best.count)
			best = (struct run){i, count};
	}
	return best;
}

/* The longest run of zeros is left out; IPv4 tails as glibc's inet_ntop has them. */
static size_t format_ipv6(const uint8_t address[16], char *text)
{
	const struct run zeros = longest_zeros(address);
	const bool is_mapped = zeros.count == 5 && address[10] == 0xff && address[11] == 0xff;
	const bool has_quad = zeros.start == 0 && (zeros.count == 6 || is_mapped);
	size_t length = 0;

	for (int i = 0; i < 8; i++) {
		if (i > 0 || i == zeros.start)
			text[length++] = ':';
		if (i == zeros.start) {
			i += zeros.count - 1;
			if (i == 7)
				text[length++] = ':';
		} else if (i == 6 && has_quad) {
			return length + format_quad(address + 12, text + length);
		} else {
			length += format_group((unsigned)address[2 * i] << 8 | address[2 * i + 1], text + length);
		}
	}
	text[length] = '\0';
	return length;
}

size_t exitpin_format_address(const struct exitpin_endpoint *endpoint, char text[EXITPIN_ADDRESS_TEXT_SIZE])
{
	if (endpoint->family == AF_INET)
		return format_quad(endpoint->address, text);
	return format_ipv6(endpoint->address, text);
}
