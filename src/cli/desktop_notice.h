/* desktop_notice: tells the user of this desktop or terminal that something happened: notify-send,
 * or where that is not or fails, the terminal's bell. A process of its own does it, so that nothing
 * of it holds up, fails or counts as a part of whoever sends. */
#pragma once

struct desktop_notice {
	int fd; /* -1: not begun, or it could not be */
};

#define DESKTOP_NOTICE_NONE ((struct desktop_notice){-1})

/* Before the caller becomes a subreaper, blocks signals or opens what others must not keep open. */
void desktop_notice_begin(struct desktop_notice *notice);
/* Both are cleaned of what could steer a terminal or a desktop. No-op when it was not begun. */
void desktop_notice_send(const struct desktop_notice *notice, const char *title, const char *text);
void desktop_notice_end(struct desktop_notice *notice);
