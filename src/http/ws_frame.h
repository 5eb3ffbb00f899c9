/* ws_frame: parses RFC 6455 frames of a client into messages, strictly; and writes the head of a
 * server's frame. Holds one message of at most LIMIT_FRAME_BYTES, however it is fragmented. No I/O;
 * runs under the fuzzer. Why not a library: docs/decisions/0003. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum ws_opcode {
	WS_CONTINUATION = 0,
	WS_TEXT = 1,
	WS_BINARY = 2,
	WS_CLOSE = 8,
	WS_PING = 9,
	WS_PONG = 10
};

enum { WS_HEAD_BYTES_MAX = 14, WS_CONTROL_BYTES_MAX = 125 };

enum ws_result {
	WS_MORE,    /* all bytes were consumed, nothing is complete */
	WS_MESSAGE, /* text in parser->message, NUL-terminated, valid UTF-8 without NUL */
	WS_CONTROL, /* parser->opcode, control[0..control_length) */
	WS_REFUSED  /* the fault's code is the one to close with */
};

struct ws_fault {
	int code;
	const char *what;
};

struct ws_parser {
	uint8_t head[WS_HEAD_BYTES_MAX];
	uint8_t head_length; /* of the current frame */
	uint8_t opcode;      /* of that frame */
	bool fin, in_payload, in_message;
	uint8_t mask[4];
	uint32_t mask_at, left, fragments;
	struct buf message;
	uint8_t control_length;
	char control[WS_CONTROL_BYTES_MAX + 1];
};

void ws_parser_finish(struct ws_parser *parser);
/* Consumes bytes up to the end of one message or control frame; *ret_used is their number. */
enum ws_result ws_parse(struct ws_parser *parser, const char *bytes, size_t length,
			size_t *ret_used, struct ws_fault *ret_fault);
/* The code of a close frame (1005: none given), or a fault. */
bool ws_close_code(const struct ws_parser *parser, int *ret_code, struct ws_fault *ret_fault);
/* Writes the head of an unmasked, unfragmented frame; returns its size, at most 10. */
size_t ws_frame_head(char *out, enum ws_opcode opcode, size_t length);
